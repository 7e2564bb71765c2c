//! Reading Rust: the paths that a file mentions and the modules that it declares, without comments, strings and tests.

use std::collections::HashMap;
use std::iter::Peekable;
use std::str::FromStr as _;

use proc_macro2::token_stream::IntoIter;
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// A path as the compiler sees it: `tokio::net::TcpStream`, `crate::hub::Hub`, with imports and `super` resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mention {
    /// Its segments.
    pub(crate) path: Vec<String>,
    /// Where it stands.
    pub(crate) line: usize,
}

/// `mod name;`, with the file it names when it says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Declaration {
    /// The inline modules around it, then its own name.
    pub(crate) name: Vec<String>,
    /// The value of `#[path = "…"]`.
    pub(crate) path: Option<String>,
}

/// What was read of one file.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// Paths outside of tests.
    pub(crate) mentions: Vec<Mention>,
    /// Modules in files of their own, those of tests too.
    pub(crate) modules: Vec<Declaration>,
    /// Lines on which the word `unsafe` stands as code.
    pub(crate) unsafe_lines: Vec<usize>,
}

/// Reads the file of the module `module` (`["crate", "hub", "shard"]`).
pub(crate) fn read(text: &str, module: &[&str]) -> Result<Source, String> {
    let stream = TokenStream::from_str(text).map_err(|error| error.to_string())?;
    let mut reader = Reader { module: module.iter().map(ToString::to_string).collect(), ..Reader::default() };
    reader.items(stream, false);
    Ok(reader.finish())
}

#[derive(Default)]
struct Reader {
    module: Vec<String>,
    inline: Vec<String>,
    aliases: HashMap<String, Vec<String>>,
    source: Source,
}

/// What an attribute before an item says about it.
#[derive(Default)]
struct Attributes {
    test: bool,
    path: Option<String>,
}

impl Reader {
    /// Walks through tokens; `in_test`: only modules and `unsafe` are noted.
    fn items(&mut self, stream: TokenStream, in_test: bool) {
        let mut tokens = stream.into_iter().peekable();
        let mut attributes = Attributes::default();
        // The item under a `#[cfg(test)]` ends with its first braces or semicolon.
        let mut skipping = false;
        while let Some(token) = tokens.next() {
            let test = in_test || skipping || attributes.test;
            match token {
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    if let Some(TokenTree::Group(group)) = next_is_brackets(&mut tokens) {
                        note_attribute(&group, &mut attributes);
                        self.items(group.stream(), true);
                        skipping |= attributes.test;
                    }
                }
                TokenTree::Punct(punct) if punct.as_char() == ';' => {
                    skipping = false;
                    attributes = Attributes::default();
                }
                TokenTree::Group(group) => {
                    self.items(group.stream(), test);
                    if group.delimiter() == Delimiter::Brace {
                        skipping = false;
                        attributes = Attributes::default();
                    }
                }
                TokenTree::Ident(word) if word == "unsafe" => self.source.unsafe_lines.push(word.span().start().line),
                TokenTree::Ident(word) if word == "mod" => {
                    self.module_item(&mut tokens, std::mem::take(&mut attributes), test);
                    skipping = false;
                }
                TokenTree::Ident(word) if word == "use" && !test => {
                    let line = word.span().start().line;
                    self.tree(&mut tokens, &[], line);
                    attributes = Attributes::default();
                }
                TokenTree::Ident(word) if !test => {
                    let line = word.span().start().line;
                    let path = path_from(word.to_string(), &mut tokens);
                    if path.len() > 1 || self.aliases.contains_key(&path[0]) {
                        self.source.mentions.push(Mention { path, line });
                    }
                }
                TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }

    fn module_item(&mut self, tokens: &mut Peekable<IntoIter>, attributes: Attributes, in_test: bool) {
        let Some(TokenTree::Ident(name)) = tokens.next() else { return };
        match tokens.next() {
            Some(TokenTree::Group(group)) => {
                self.inline.push(name.to_string());
                self.module.push(name.to_string());
                self.items(group.stream(), in_test);
                self.module.pop();
                self.inline.pop();
            }
            _ => {
                let mut full = self.inline.clone();
                full.push(name.to_string());
                self.source.modules.push(Declaration { name: full, path: attributes.path });
            }
        }
    }

    /// One tree of a `use`: ends before `,` or at `;`.
    fn tree(&mut self, tokens: &mut Peekable<IntoIter>, prefix: &[String], line: usize) {
        let mut path = prefix.to_vec();
        let mut alias = None;
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Ident(word) if word == "as" => {
                    alias = tokens.next().map(|name| name.to_string());
                }
                TokenTree::Ident(word) => path.push(word.to_string()),
                TokenTree::Punct(punct) if punct.as_char() == '*' => path.push("*".into()),
                TokenTree::Punct(punct) if matches!(punct.as_char(), ';' | ',') => break,
                TokenTree::Group(group) => {
                    let mut inner = group.stream().into_iter().peekable();
                    while inner.peek().is_some() {
                        self.tree(&mut inner, &path, line);
                    }
                    // What stands in the braces was noted; what is behind them is only the end.
                    path.clear();
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
        if path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        if let Some(last) = path.last().cloned() {
            self.aliases.insert(alias.unwrap_or(last), path.clone());
            self.source.mentions.push(Mention { path, line });
        }
    }

    /// Replaces imported names and relative beginnings by what they stand for.
    fn finish(mut self) -> Source {
        for mention in &mut self.source.mentions {
            if let Some(imported) = self.aliases.get(&mention.path[0])
                && *imported != mention.path
            {
                mention.path.splice(0..1, imported.iter().cloned());
            }
            let mut base = self.module.clone();
            let mut steps = 0;
            for segment in &mention.path {
                match segment.as_str() {
                    "self" => steps += 1,
                    "super" => {
                        base.pop();
                        steps += 1;
                    }
                    _ => break,
                }
            }
            if steps > 0 {
                mention.path.splice(0..steps, base);
            }
        }
        self.source
    }
}

fn next_is_brackets(tokens: &mut Peekable<IntoIter>) -> Option<TokenTree> {
    if matches!(tokens.peek(), Some(TokenTree::Punct(punct)) if punct.as_char() == '!') {
        tokens.next();
    }
    tokens.next_if(|token| matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket))
}

fn note_attribute(group: &Group, attributes: &mut Attributes) {
    let words: Vec<String> = group.stream().into_iter().map(|token| token.to_string()).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        // `#[cfg(test)]`, `#[test]`, `#[tokio::test]`
        ["cfg", "(test)"] | ["test"] | [.., ":", "test"] | [.., "::", "test"] => attributes.test = true,
        ["path", "=", path] => attributes.path = Some(path.trim_matches('"').to_owned()),
        _ => {}
    }
}

/// The path that begins with `first`.
fn path_from(first: String, tokens: &mut Peekable<IntoIter>) -> Vec<String> {
    let mut path = vec![first];
    loop {
        let mut ahead = tokens.clone();
        let colons = ahead.next().zip(ahead.next());
        let Some((TokenTree::Punct(one), TokenTree::Punct(two))) = colons else { return path };
        let Some(TokenTree::Ident(word)) = ahead.next() else { return path };
        if one.as_char() != ':' || two.as_char() != ':' {
            return path;
        }
        path.push(word.to_string());
        *tokens = ahead;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        let source = read(text, &["crate", "hub", "shard"]).unwrap();
        source.mentions.iter().map(|mention| mention.path.join("::")).collect()
    }

    #[test]
    fn an_import_is_taken_apart() {
        let text = "use tokio::{net::{TcpStream, TcpListener as L}, sync::mpsc::{self}};";
        assert_eq!(paths(text), ["tokio::net::TcpStream", "tokio::net::TcpListener", "tokio::sync::mpsc"]);
    }

    #[test]
    fn an_imported_name_stands_for_its_whole_path() {
        let text = "use jiff::Timestamp as Time; fn now() -> Time { Time::now() }";
        assert_eq!(paths(text), ["jiff::Timestamp", "jiff::Timestamp", "jiff::Timestamp::now"]);
    }

    #[test]
    fn relative_paths_are_resolved() {
        assert_eq!(
            paths("use super::log::Log; use self::cursor::C;"),
            ["crate::hub::log::Log", "crate::hub::shard::cursor::C"]
        );
    }

    #[test]
    fn comments_strings_and_tests_do_not_count() {
        let text = r#"
            //! Not redis::Client.
            // tokio::spawn
            const WORDS: &str = "axum::serve";
            #[cfg(test)]
            mod tests { use tokio::net::TcpStream; }
            #[cfg(test)]
            use tokio::time;
            fn after() { rand::random() }
        "#;
        assert_eq!(paths(text), ["rand::random"]);
    }

    #[test]
    fn paths_in_macros_and_bodies_count() {
        assert_eq!(
            paths("fn f() { select! { _ = tokio::time::sleep(x) => redis::cmd(\"A\") } }"),
            ["tokio::time::sleep", "redis::cmd"]
        );
    }

    #[test]
    fn modules_are_found_with_their_paths_also_those_of_tests() {
        let text = "pub mod a; #[cfg(test)] mod b; #[path = \"else/c.rs\"] mod c; mod d { mod e; } fn model() {}";
        let source = read(text, &["crate"]).unwrap();
        let found: Vec<_> = source.modules.iter().map(|module| (module.name.join("::"), module.path.clone())).collect();
        assert_eq!(
            found,
            [("a".into(), None), ("b".into(), None), ("c".into(), Some("else/c.rs".into())), ("d::e".into(), None)]
        );
    }

    #[test]
    fn unsafe_is_found_in_code_only() {
        let source = read("// unsafe\nfn f() {\n    unsafe { g() }\n}", &["crate"]).unwrap();
        assert_eq!(source.unsafe_lines, [3]);
    }
}
