//! The words of `status.conditions`: each type, and each reason under it, with what it means.
//!
//! Tools and alerts compare these words, so one that was released keeps its meaning. [`TYPES`] lists them all, with their
//! comments as text, for whoever documents or checks them.

/// A type of condition, as [`TYPES`] lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Type {
    /// `type` of the condition.
    pub name: &'static str,
    /// What it says.
    pub meaning: &'static str,
    /// Every reason that it may give.
    pub reasons: &'static [Reason],
}

/// A reason of a condition, as [`TYPES`] lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// `reason` of the condition.
    pub name: &'static str,
    /// The `status` with which it stands: `True`, `False` or `Unknown`; two of them separated by a comma.
    pub status: &'static str,
    /// What it means, and who has to act.
    pub meaning: &'static str,
}

/// Writes the constants and their list from one text, so that neither can lack a word of the other.
macro_rules! conditions {
    ($($(#[doc = $meaning:literal])+ $TYPE:ident = $name:literal, $reasons:ident {
        $($(#[doc = $why:literal])+ $REASON:ident = $reason:literal ($status:literal);)+
    })+) => {
        $($(#[doc = $meaning])+ pub const $TYPE: &str = $name;)+

        $(
            #[doc = concat!("Reasons of `", $name, "`.")]
            pub mod $reasons {
                $($(#[doc = $why])+ pub const $REASON: &str = $reason;)+
            }
        )+

        /// Every type of condition with every reason, in the order in which to read them.
        pub const TYPES: &[Type] = &[$(Type {
            name: $name,
            meaning: concat!($($meaning),+).trim_ascii(),
            reasons: &[$(Reason { name: $reason, status: $status, meaning: concat!($($why),+).trim_ascii() }),+],
        }),+];
    };
}

conditions! {
    /// As many gateways as wanted take clients, and what the spec says can be carried out.
    READY = "Ready", ready {
        /// As many gateways as wanted take clients.
        ALL_REPLICAS_READY = "AllReplicasReady" ("True");
        /// `spec.replicas` is 0: nobody can connect, as asked for.
        NO_REPLICAS = "NoReplicas" ("True");
        /// As many gateways as wanted take clients, but those of the new version cannot start, so the old ones go on. The
        /// message says what is in the way; somebody has to remove it, or take the change back.
        ROLLOUT_BLOCKED = "RolloutBlocked" ("True");
        /// Fewer gateways than wanted take clients while a new version, or another number of them, rolls out.
        ROLLOUT_IN_PROGRESS = "RolloutInProgress" ("False");
        /// Fewer gateways than wanted take clients, though none is being replaced. The message says why where it is known.
        REPLICAS_NOT_READY = "ReplicasNotReady" ("False");
        /// Gateways wait for a Redis that cannot be reached.
        REDIS_NOT_READY = "RedisNotReady" ("False");
        /// Gateways wait for a Secret that the room names. Somebody has to make it.
        SECRET_NOT_FOUND = "SecretNotFound" ("False");
        /// Redis refuses the credentials of the gateways. Somebody has to put the Secret right; for a Redis of the room's own
        /// the operator does.
        CREDENTIALS_REFUSED = "CredentialsRefused" ("False");
        /// Redis is reached, but set up so that it cannot keep a room. The message says what has to change.
        UNSUITABLE = "Unsuitable" ("False");
        /// `spec.suspend` is true: no gateways run, as asked for; everything else is kept.
        SUSPENDED = "Suspended" ("False");
        /// Reconciling is disabled by annotation, and there is no Deployment that could take clients.
        PAUSED = "Paused" ("False");
        /// The spec cannot be carried out; the message names the field. Gateways that run already are left as they are.
        INVALID_SPEC = "InvalidSpec" ("False");
        /// An object of the room cannot be written, and trying again does not help: see Stalled.
        APPLY_FAILED = "ApplyFailed" ("False");
    }

    /// Something is still on its way.
    RECONCILING = "Reconciling", reconciling {
        /// Everything is as asked for.
        SETTLED = "Settled" ("False");
        /// An object could not be written, and is tried again.
        APPLYING_CHANGES = "ApplyingChanges" ("True");
        /// An object of the room's name, or its namespace, is being deleted: the room goes on when it is gone.
        WAITING_FOR_REMOVAL = "WaitingForRemoval" ("True");
        /// Gateways are being replaced, or their number is being changed.
        ROLLING_OUT = "RollingOut" ("True");
        /// The gateways are the right ones, and some do not take clients yet.
        WAITING_FOR_PODS = "WaitingForPods" ("True");
        /// Nothing more will happen without help: see Stalled.
        STALLED = "Stalled" ("False");
        /// Reconciling is disabled by annotation: the operator changes nothing.
        RECONCILE_DISABLED = "ReconcileDisabled" ("False");
    }

    /// It will not get on without somebody's help.
    STALLED = "Stalled", stalled {
        /// Nothing stands in the way.
        PROGRESSING = "Progressing" ("False");
        /// The spec cannot be carried out; the message names the field.
        INVALID_SPEC = "InvalidSpec" ("True");
        /// Only the overrides cannot be carried out; the message names the field.
        INVALID_OVERRIDE = "InvalidOverride" ("True");
        /// Somebody else has an object of a name that the room needs. Delete it, or give the room another name.
        FOREIGN_OBJECT = "ForeignObject" ("True");
        /// The operator may not write an object: its role, a quota or a policy has to change.
        FORBIDDEN = "Forbidden" ("True");
        /// An admission webhook or policy of the cluster refuses an object; the message is its own. It, or the room, has to change.
        DENIED = "Denied" ("True");
        /// The API server does not take an object as the room asks for it: the room has to change.
        REJECTED = "Rejected" ("True");
        /// New gateways have not come up within 300 s. The message says what is in the way, where it is known.
        PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded" ("True");
        /// New gateways have not come up within 300 s, because their image cannot be had.
        IMAGE_PULL_FAILED = "ImagePullFailed" ("True");
    }

    /// What the gateways say about Redis. The operator never asks Redis itself.
    REDIS_READY = "RedisReady", redis_ready {
        /// All gateways that answer reach Redis.
        CONNECTED = "Connected" ("True");
        /// Gateways have started and not asked Redis yet.
        STARTING = "Starting" ("Unknown");
        /// Redis cannot be reached, or does not answer.
        CONNECT_FAILED = "ConnectFailed" ("False");
        /// The Secret with the credentials is missing. With True: the connections that there are hold, but a gateway that
        /// starts or has to connect again could not.
        SECRET_NOT_FOUND = "SecretNotFound" ("False, True");
        /// Redis refuses the credentials.
        CREDENTIALS_REFUSED = "CredentialsRefused" ("False");
        /// Redis is reached, but set up so that it cannot keep a room. The message says what has to change.
        UNSUITABLE = "Unsuitable" ("False");
        /// There are gateways, and none of them answers the operator.
        GATEWAYS_UNREACHABLE = "GatewaysUnreachable" ("Unknown");
        /// There is no gateway that could be asked.
        NO_GATEWAYS = "NoGateways" ("Unknown");
    }

    /// Whether the gateways take pushes from other programs. Clients are served either way, so Ready does not depend on it.
    PUSH_READY = "PushReady", push_ready {
        /// All gateways that answer have a push key.
        ACCEPTING = "Accepting" ("True");
        /// The Secret with the push keys, or its key `keys`, is missing: pushes are answered with 503. Somebody has to make the
        /// Secret that the room names; one of the room's own the operator makes.
        KEYS_NOT_FOUND = "KeysNotFound" ("False");
        /// A line of the Secret is no push key: it is shorter than 16 characters, or holds others than visible ones of ASCII. The
        /// other lines count. Somebody has to put the Secret right.
        KEYS_REFUSED = "KeysRefused" ("False");
        /// There are gateways, and none of them answers the operator.
        GATEWAYS_UNREACHABLE = "GatewaysUnreachable" ("Unknown");
        /// There is no gateway that could be asked.
        NO_GATEWAYS = "NoGateways" ("Unknown");
    }

    /// Whether the gateways have what functions are called with: signing keys, and certificates of authorities. Only where
    /// `spec.functions` names such a Secret. It says nothing of the functions themselves: nobody calls them to find out.
    FUNCTIONS_READY = "FunctionsReady", functions_ready {
        /// All gateways that answer have what the room names.
        CONFIGURED = "Configured" ("True");
        /// The Secret with the signing keys, or its key `keys`, is missing: no function is called. Somebody has to make it.
        SIGNING_KEYS_NOT_FOUND = "SigningKeysNotFound" ("False");
        /// A line of the Secret is no signing key, which is `whsec_` and the base64 of 24 to 64 bytes. The other lines count; without a good one no
        /// function is called. Somebody has to put the Secret right.
        SIGNING_KEYS_REFUSED = "SigningKeysRefused" ("False");
        /// The Secret with the certificates of authorities, or the key in it, is missing: public authorities alone are trusted.
        /// Somebody has to make it.
        ROOTS_NOT_FOUND = "RootsNotFound" ("False");
        /// What the Secret holds cannot be read as certificates in PEM: the last good ones stay, and without any public authorities
        /// alone are trusted. Somebody has to put it right.
        ROOTS_REFUSED = "RootsRefused" ("False");
        /// There are gateways, and none of them answers the operator.
        GATEWAYS_UNREACHABLE = "GatewaysUnreachable" ("Unknown");
        /// There is no gateway that could be asked.
        NO_GATEWAYS = "NoGateways" ("Unknown");
    }

    /// Whether the cleanup function is told of ends. Only where the room has one.
    CLEANUP_HEALTHY = "CleanupHealthy", cleanup_healthy {
        /// No end was given up, and none waits because the last call failed.
        DELIVERING = "Delivering" ("True");
        /// Gateways have started and not looked for ends yet.
        STARTING = "Starting" ("Unknown");
        /// The cleanup function does not take calls; the message says how. Ends wait and are told again, for a day.
        CLEANUP_FAILING = "CleanupFailing" ("False");
        /// Ends were given up after a day of tries: the function was never told of them. Somebody has to bring them back, or to
        /// clean up in another way; the message names the command.
        DEAD_EVENTS = "DeadEvents" ("False");
        /// There are gateways, and none of them answers the operator.
        GATEWAYS_UNREACHABLE = "GatewaysUnreachable" ("Unknown");
        /// There is no gateway that could be asked.
        NO_GATEWAYS = "NoGateways" ("Unknown");
    }

    /// Every gateway runs the current hot settings: `limits`, `allowedOrigins`, `logging.filter`. False while a change of them is
    /// on its way, which takes about 90 s and restarts nothing.
    SETTINGS_CURRENT = "SettingsCurrent", settings_current {
        /// Every gateway runs the current settings.
        ALL_GATEWAYS = "AllGateways" ("True");
        /// Some gateways do not run the current settings yet; the message counts them.
        SPREADING = "Spreading" ("False");
        /// A gateway cannot use the settings that it found, and goes on with the last good ones.
        SETTINGS_REFUSED = "SettingsRefused" ("False");
        /// A gateway does not answer the operator, so nobody knows what it runs.
        GATEWAYS_UNREACHABLE = "GatewaysUnreachable" ("Unknown");
        /// There is no gateway that could be asked.
        NO_GATEWAYS = "NoGateways" ("Unknown");
    }

    /// The operator leaves the room alone, as its annotation `chatroom.dev/reconcile` asks for: it writes nothing but the status.
    PAUSED = "Paused", paused {
        /// The annotation says `disabled`.
        RECONCILE_DISABLED = "ReconcileDisabled" ("True");
        /// The room is carried out as its spec says.
        NOT_PAUSED = "NotPaused" ("False");
    }
}
