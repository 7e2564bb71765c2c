# What the scripts behind the Makefile share. Sourced; leaves the shell in the checkout. Bash 3.2, as macOS has it.
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
cd "$checkout" || exit 1
tools=$checkout/target/tools
images=$checkout/target/images
export PATH="$tools:$PATH"
export KUBECONFIG="$checkout/target/cluster/kubeconfig"

die() { echo "$(basename "$0" .sh): $*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }
step() { printf '\n== %s\n' "$*"; }
skipped() { printf 'skipped: %s\n' "$*"; }

# image_road: how images are made, `packed` from the programs that are built on this machine or by the `dockerfile`. Packed
# ones need no Docker and are in the cluster at once after an edit, but hold this machine's programs. IMAGES chooses.
image_road() {
  case ${IMAGES:-} in
    packed | dockerfile) echo "$IMAGES" ;;
    "") if [ "$(uname)" = Linux ]; then echo packed; else echo dockerfile; fi ;;
    *) die "IMAGES=$IMAGES is neither packed nor dockerfile" ;;
  esac
}

# may_install: did somebody say that system packages may be installed?
may_install() { [ "${YES:-}" = 1 ] || [ "${CI:-}" = true ]; }
