// The vocabulary. No code.

/** What TKLBAM is doing; a hook's first argument. */
export type Operation = 'backup' | 'restore';

/** Where in the operation it is; a hook's second argument. */
export type State = 'pre' | 'inspect' | 'post' | 'error';

export interface HookEvent {
  readonly operation: Operation;
  readonly state: State;
}

/** Names and values as `environ(7)` has them. */
export type Environment = Readonly<Record<string, string>>;

/** A directory of hooks. */
export interface HookSource {
  readonly kind: 'local' | 'profile';
  /** Absolute. */
  readonly directory: string;
  /** Somebody said that hooks are there: then it is an error if it is absent. Otherwise, an absent one holds none. */
  readonly isNamed?: true;
}

/** What was asked, checked and complete. Nothing after `parse` looks at the command line. */
export type Request =
  | { readonly kind: 'help'; readonly command: string | undefined }
  | { readonly kind: 'version' }
  | RunRequest
  | ListRequest
  | CheckRequest
  | SessionRequest
  | WrapRequest
  | RecoverRequest
  | StatusRequest
  | HistoryRequest
  | SwitchRequest
  | NewRequest
  | LibraryRequest
  | { readonly kind: 'fixclock'; readonly event: HookEvent; readonly verbose: boolean };

/** A hook whose work the executable does itself. */
export type LibraryName =
  | 'services'
  | 'snapshot'
  | 'cleanup'
  | 'notify'
  | 'sqlite'
  | 'postgresql'
  | 'mariadb'
  | 'tklbam-databases'
  | 'redis'
  | 'openldap'
  | 'etcd';

/** Switch hooks on or off. */
export interface SwitchRequest {
  readonly kind: 'enable' | 'disable';
  readonly sources: readonly HookSource[];
  /** File names, at least one. */
  readonly names: readonly string[];
  readonly statePaths: StatePaths;
}

export interface NewRequest {
  readonly kind: 'new';
  /** Where the hook is to be. Absolute. */
  readonly directory: string;
  /** Its file name. */
  readonly name: string;
}

export interface LibraryRequest {
  readonly kind: 'library';
  readonly hook: LibraryName;
  readonly event: HookEvent;
  /** Look whether its dumps are whole, instead: the last ones, or those in that directory, which is absolute. */
  readonly verify?: { readonly directory: string | undefined };
  readonly cwd: string;
  /** The settings file, `NAME.conf`; the hook keeps its state by that NAME. Absolute; it may be missing. */
  readonly settings: string;
  readonly statePaths: StatePaths;
}

/** Where hooks come from and how long each may take. */
export interface HookSettings {
  readonly sources: readonly HookSource[];
  /** Files with the public keys that profile hooks may be signed with; undefined for TurnKey's own. Absolute. */
  readonly keyrings: readonly string[] | undefined;
  /** For each hook that does not ask for its own. Undefined waits for ever. */
  readonly timeoutMs: number | undefined;
}

/** What `run` and `list` have in common. */
export interface Settings extends HookSettings {
  readonly event: HookEvent;
}

/** Where sessions are recorded and logged. Absolute. */
export interface StatePaths {
  readonly stateDirectory: string;
  readonly log: string;
  /** Where metrics are written for Prometheus; absent for nowhere. */
  readonly metrics?: string;
}

/** What `session` and `wrap` have in common. */
export interface SessionSettings extends HookSettings {
  readonly operation: Operation;
  /** What it is told apart by from others of the operation; undefined for the name of its caller. */
  readonly name: string | undefined;
  /** File names of the hooks to run, and no others; empty for all. */
  readonly only: readonly string[];
  readonly statePaths: StatePaths;
  readonly verbose: boolean;
  /** How long to wait for a session that is running, of whatever operation. Infinity for ever. */
  readonly waitMs: number;
}

export interface SessionRequest extends SessionSettings {
  readonly kind: 'session';
  /**
   * Of the connected stream socket on which the caller says which state it has come to: its descriptor, or the name of the abstract one
   * that it listens on (unix(7)).
   */
  readonly control: number | string;
  /** Signals that the caller ignores, and its hooks are to ignore too (nohup(1)). */
  readonly ignoredSignals: readonly NodeJS.Signals[];
}

export interface WrapRequest extends SessionSettings {
  readonly kind: 'wrap';
  /** Exit statuses of the command that are warnings: its work is done. */
  readonly warnStatuses: readonly number[];
  /** Where hooks of `inspect` start; undefined to leave that state out. Absolute. */
  readonly inspect: string | undefined;
  readonly cwd: string;
  readonly command: readonly [file: string, ...args: string[]];
  /** How long the command may run. Undefined waits for ever. */
  readonly commandTimeoutMs: number | undefined;
  readonly dryRun: boolean;
}

export interface RecoverRequest {
  readonly kind: 'recover';
  /** Those to look after: both, unless one was named. */
  readonly operations: readonly Operation[];
  /** Give up what is owed, instead of telling the hooks. */
  readonly forget: boolean;
  readonly statePaths: StatePaths;
  readonly dryRun: boolean;
}

export interface StatusRequest {
  readonly kind: 'status';
  readonly statePaths: StatePaths;
  readonly form: 'text' | 'json' | 'check' | 'prometheus';
  /** Whether every hook has a row, however many there are. */
  readonly isWhole: boolean;
  /** How old the last good backup may be, for `check`. */
  readonly maxAgeMs: number;
  /** Of the sessions that `check` is about; undefined for all. */
  readonly name: string | undefined;
}

export interface HistoryRequest {
  readonly kind: 'history';
  readonly operations: readonly Operation[];
  readonly statePaths: StatePaths;
}

export interface ListRequest extends Settings {
  readonly kind: 'list';
  readonly json: boolean;
}

export interface CheckRequest extends Settings {
  readonly kind: 'check';
  readonly statePaths: StatePaths;
  /** File names to look at, and no others; empty for all. */
  readonly names: readonly string[];
  readonly json: boolean;
}

/** Something that would keep a hook from running as it is meant to. */
export interface Finding {
  /** What it is about; absent for a directory. */
  readonly name: string | undefined;
  readonly path: string;
  /** The path as it is shown, where that has more: bytes that are not UTF-8. */
  readonly shown?: string;
  readonly kind:
    | 'refused'
    | 'broken'
    | 'unverified'
    | 'expired-key'
    | 'disabled'
    | 'hidden'
    | 'passed-over'
    | 'empty'
    | 'header'
    | 'no-interpreter-line'
    | 'carriage-return'
    | 'secret'
    | 'no-error'
    | 'syntax'
    | 'no-clock-tool'
    | 'no-clock-server'
    | 'setting'
    | 'library'
    | 'unreadable'
    | 'no-such-entry';
  readonly reason: string;
  readonly remedy: string;
}

export interface RunRequest extends Settings {
  readonly kind: 'run';
  /** Where hooks start. Absolute. */
  readonly cwd: string;
  /** File names to run, and no others; empty for all. */
  readonly only: readonly string[];
  readonly dryRun: boolean;
  readonly verbose: boolean;
}

/** The first bytes of a file, as `execve(2)` reads them. Paths and arguments in it are bytes, a character each (latin1). */
export type Program =
  | { readonly kind: 'script'; readonly interpreter: string; readonly argument: string }
  /** A `#!` that the kernel does not follow, since its line is longer than it reads, or names nothing. */
  | { readonly kind: 'interpreter-line'; readonly fault: 'long' | 'bare' }
  | { readonly kind: 'elf'; readonly machine: number; readonly loader: string | undefined }
  /** No `#!`: `execvp(3)` gives it to /bin/sh. */
  | { readonly kind: 'shell-text' }
  | { readonly kind: 'byte-order-mark' }
  | { readonly kind: 'garbage' }
  /** The error that reading it met, as `errno(3)` names it. */
  | { readonly kind: 'unreadable'; readonly code: string };

/** The file behind a directory entry, links followed. */
export interface FileFacts {
  readonly type: 'file' | 'directory' | 'other';
  readonly size: number;
  readonly uid: number;
  readonly gid: number;
  /** Permission bits, set-id bits among them. */
  readonly mode: number;
  /** When its content last changed, in ms since 1970. */
  readonly modifiedMs: number;
}

/** Who owns a directory, and who may write to it. */
export type DirectoryFacts =
  | { readonly path: string; readonly uid: number; readonly mode: number }
  /** Where a file system begins that a user mounted, such as `user 1000`: it shows what that user likes. */
  | { readonly path: string; readonly mountedBy: string };

/** What the kernel loads to run a file: the interpreter of a script, which may be a script itself, or the loader of a program. */
export interface Interpreter extends InterpreterName {
  readonly file: FileFacts | { readonly error: string };
  readonly ancestorDirs: readonly DirectoryFacts[];
  readonly program: Program | undefined;
  /** Whether `access(2)` lets us execute it; else the errno name. */
  readonly access: 'ok' | string;
}

export interface InterpreterName {
  readonly path: string;
  readonly role: 'interpreter' | 'loader';
  /** The file that asks for it, if it is not the hook itself. */
  readonly of: string | undefined;
}

/** What a hook says of itself in comments. */
export interface Header {
  /** Undefined if it does not say; 0 for no limit. */
  readonly timeoutMs: number | undefined;
  /** `warn`: a failure is told, and changes nothing. */
  readonly failure: 'stop' | 'warn';
  /** Whether it is to be told `error` although the operation was turned away before any hook ran. */
  readonly always: boolean;
  /** Whether it gets the variables that hold passwords and keys. */
  readonly secrets: boolean;
  /** Lines that cannot be understood, and so are not used, counted from 1; `text` is what stands in the way. */
  readonly faults: readonly { readonly line: number; readonly text: string }[];
}

/** A directory entry as found: facts without opinion, so a test can make one up. */
export interface Candidate {
  readonly source: HookSource;
  /** File name. Bytes that are not UTF-8 stand as U+FFFD; `bytes` has them. */
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly path: string;
  /** Where a link points, as written in it; absent if it is none. */
  readonly link: string | undefined;
  /** The error in place of facts: ENOENT for a dangling link, ELOOP for one that leads to itself. */
  readonly file: FileFacts | { readonly error: string };
  /** Every directory that is searched on the way to the file, through all links: who may write there may swap the hook. */
  readonly ancestorDirs: readonly DirectoryFacts[];
  /** Of an executable file only; the files behind the others are not opened. */
  readonly program: Program | undefined;
  /** Whether `access(2)` lets us execute the file; else the errno name. */
  readonly access: 'ok' | string;
  /** What runs it, in the order that the kernel comes to them: none for a static program. */
  readonly interpreters: readonly Interpreter[];
  readonly header: Header;
}

/** What a directory held, and whether it can be trusted, whatever is in it. */
export interface JudgedListing extends Listing {
  readonly refusal: Refusal | undefined;
}

/** What a directory held, in byte order of the names. */
export interface Listing {
  readonly source: HookSource;
  /** `absent` is ordinary; any other reason that it cannot be read is its errno name. */
  readonly state: 'read' | 'absent' | { readonly error: string };
  /** Of the directory, itself among them. */
  readonly ancestorDirs: readonly DirectoryFacts[];
  readonly candidates: readonly Candidate[];
}

/** Why an entry is not a hook that is switched on. Ordinary, told on request. */
export type Skip = 'disabled' | 'name' | 'not-a-file' | 'masked' | 'hidden' | Unverified;

/** Why a profile hook's signature could not be checked. Passed over, and always told. */
export type Unverified = 'no-signature' | 'no-keyring' | 'no-gpgv' | 'unknown-key';

/** A key as gpgv names it: 16 hexadecimal digits, and a date as ISO 8601, or empty. */
export interface SigningKey {
  readonly id: string;
  readonly date: string;
}

/** Why a hook must not be run by root. Always told. */
export type Refusal =
  /** Of the file, or of `directory` on its path. */
  | { readonly kind: 'owner'; readonly uid: number; readonly directory: string | undefined }
  | { readonly kind: 'writable'; readonly mode: number; readonly directory: string | undefined }
  /** Of a directory on its path, or what is below it: a user mounted it (`by`), and can show us anything. */
  | { readonly kind: 'user-mount'; readonly by: string; readonly directory: string }
  /** Of what runs it. */
  | { readonly kind: 'interpreter'; readonly interpreter: InterpreterName; readonly refusal: Refusal }
  | { readonly kind: 'set-id' }
  | { readonly kind: 'signature'; readonly reason: string; readonly remedy: string };

/** What is known of a profile hook's signature. */
export type Signature =
  | { readonly kind: 'good' | 'no-signature' | 'no-keyring' | 'no-gpgv' }
  /** Made before its key expired, on that date. */
  | { readonly kind: 'expired-key'; readonly key: SigningKey }
  /** Made on that date, by a key of none of the keyrings. */
  | { readonly kind: 'unknown-key'; readonly key: SigningKey }
  | { readonly kind: 'bad'; readonly reason: string; readonly remedy: string };

/** Why a hook that is switched on cannot be started. Always told. */
export type Defect =
  | { readonly kind: 'dangling-link'; readonly target: string }
  | { readonly kind: 'link-loop' }
  | { readonly kind: 'unreachable'; readonly code: string }
  | { readonly kind: 'name-not-utf8' }
  | { readonly kind: 'no-permission' }
  | { readonly kind: 'noexec' }
  | { readonly kind: 'crlf' }
  | { readonly kind: 'byte-order-mark' }
  | { readonly kind: 'garbage' }
  | { readonly kind: 'interpreter-line'; readonly fault: 'long' | 'bare' }
  | { readonly kind: 'architecture'; readonly machine: number }
  | { readonly kind: 'interpreter'; readonly interpreter: InterpreterName; readonly fault: InterpreterFault }
  /** More interpreters that are scripts themselves than the kernel follows. */
  | { readonly kind: 'interpreter-depth' }
  /** Its start could not be recorded; the errno name. */
  | { readonly kind: 'unrecorded'; readonly code: string }
  /** Its working directory. */
  | { readonly kind: 'directory'; readonly directory: string; readonly code: string }
  /** Found out only on the attempt; the errno name. */
  | { readonly kind: 'system'; readonly code: string };

export type InterpreterFault =
  | { readonly kind: 'relative' | 'missing' | 'denied' | 'directory' | 'empty' | 'no-program' }
  | { readonly kind: 'unreachable'; readonly code: string }
  | { readonly kind: 'architecture'; readonly machine: number };

export type Verdict =
  /** `expiredKey`: that made its signature. */
  | { readonly kind: 'run'; readonly expiredKey?: SigningKey }
  /** `key`: that made its signature, if that is why. */
  | { readonly kind: 'skip'; readonly why: Skip; readonly key?: SigningKey }
  | { readonly kind: 'broken'; readonly defect: Defect }
  | { readonly kind: 'refuse'; readonly refusal: Refusal };

export interface Judged {
  readonly hook: Candidate;
  readonly verdict: Verdict;
}

/** What is in the directories, and what comes of it. */
export interface LoadedHooks {
  readonly listings: readonly JudgedListing[];
  readonly judged: readonly Judged[];
}

/** Everything needed to start one hook; `execute` adds nothing of its own. */
export interface Step {
  readonly hook: Candidate;
  readonly args: readonly [operation: Operation, state: State];
  readonly cwd: string;
  /** The whole environment, not additions to ours. */
  readonly env: Environment;
  readonly timeoutMs: number | undefined;
  /** From the first signal, at the time limit or an interruption, to SIGKILL. */
  readonly graceMs: number;
  /** What comes of a failure: `note` is for what the hook is told after another failure, and changes nothing. */
  readonly failure: 'stop' | 'warn' | 'note';
}

/** What would happen, whole before the first hook starts. */
export interface Plan {
  readonly event: HookEvent;
  /** `pre` and `inspect` stop at the first failure; `post` and `error` go on. */
  readonly stopAtFailure: boolean;
  /** The hooks to start, in order. Empty if `stopAtFailure` and anything of `failures` stands in the way. */
  readonly steps: readonly Step[];
  /** Every entry of the directories, in the order of the event. */
  readonly entries: readonly Judged[];
  /** What is wrong before anything ran. */
  readonly failures: readonly Failure[];
  /** What is worth telling, and changes nothing. */
  readonly warnings: readonly Warning[];
}

export type Warning =
  | { readonly kind: 'header'; readonly hook: Candidate; readonly line: number; readonly text: string }
  | {
      readonly kind: 'unverified';
      readonly hook: Candidate;
      readonly why: Unverified;
      readonly key: SigningKey | undefined;
    }
  | { readonly kind: 'expired-key'; readonly hook: Candidate; readonly key: SigningKey };

/** A reason for a run to fail that is not the end of a started hook. */
export type Failure =
  | { readonly kind: 'broken'; readonly hook: Candidate; readonly defect: Defect }
  | { readonly kind: 'refused'; readonly hook: Candidate; readonly refusal: Refusal }
  | { readonly kind: 'directory'; readonly source: HookSource; readonly code: string }
  /** It was started in this session, and in `post` it is not there to be started. */
  | { readonly kind: 'gone'; readonly path: string; readonly verdict: Verdict | undefined }
  /** A directory is refused, and no hook in it. */
  | { readonly kind: 'directory-refused'; readonly source: HookSource; readonly refusal: Refusal }
  /** `--only` named it. `why` is undefined if there is no such entry, and `near` an enabled hook that may have been meant. */
  | {
      readonly kind: 'not-a-hook';
      readonly name: string;
      readonly why: Skip | undefined;
      readonly key?: SigningKey;
      readonly near?: string;
    };

/** Each way a hook can end. Failing is a value here, not an exception: it is what we are asked to report. */
export type Outcome =
  | { readonly kind: 'succeeded' }
  | { readonly kind: 'failed'; readonly status: number }
  | { readonly kind: 'killed'; readonly signal: string }
  /** It outlived its time limit, whatever it exited with in the end. */
  | { readonly kind: 'timed-out'; readonly afterMs: number }
  /** We were sent the signal, and ended it. */
  | { readonly kind: 'interrupted'; readonly signal: string }
  | { readonly kind: 'not-started'; readonly defect: Defect };

export interface Result {
  readonly step: Step;
  readonly outcome: Outcome;
  readonly durationMs: number;
  /** The last lines that it wrote to standard error, where they are kept; empty otherwise. */
  readonly output: string;
}

/** What went wrong in a session. */
export interface Trouble {
  /** A line. */
  readonly error: string;
  /** File name of the hook that failed; empty if it was none. */
  readonly failed: string;
}

/** What did happen: enough to print and to choose the exit status from. */
export interface Report {
  readonly plan: Plan;
  /** In order; shorter than the plan's steps when one failed and the rest were not tried. */
  readonly results: readonly Result[];
  /** The signal that ended the run, if one did. */
  readonly interruption: NodeJS.Signals | undefined;
}

/** A result as JSON has it: in answers of a session, and in the log. */
export interface ResultEntry {
  readonly path: string;
  readonly outcome: Outcome['kind'];
  /** Its exit status; null if it did not exit by itself. */
  readonly status: number | null;
  /** The signal that killed it, or that it was interrupted by; null for none. */
  readonly signal: string | null;
  readonly seconds: number;
}

/** Lines of the log. `time` is when it began, as ISO 8601 in UTC. */
export type LogEntry = HookEntry | SessionEntry;

export interface HookEntry extends ResultEntry {
  readonly type: 'hook';
  readonly time: string;
  readonly session: string;
  readonly operation: Operation;
  readonly state: State;
  readonly hook: string;
  /** The last lines that it wrote to standard error, if it failed; absent if there are none, or they are not kept. */
  readonly output?: string;
}

/**
 * `put-off`: a hook of `pre` exited 75. `turned-away`: it ended before its first hook. Later lines of a session that failed: `owing`, a hook
 * failed in `error` and is not told again; `settled`, the last hook that was owed it was told; `forgotten`, by an administrator.
 */
export type SessionOutcome =
  | 'succeeded'
  | 'failed'
  | 'put-off'
  | 'turned-away'
  | 'owing'
  | 'settled'
  | 'forgotten';

export interface SessionEntry {
  readonly type: 'session';
  readonly time: string;
  readonly session: string;
  readonly operation: Operation;
  readonly outcome: SessionOutcome;
  /** What went wrong, a line. */
  readonly error: string | null;
  /** From its start to its end, or to the end of its recovery. */
  readonly seconds: number;
  /** What it is told apart by; absent in lines of earlier versions. */
  readonly name?: string;
  /** Only some of the hooks were asked for (--only): it counts for no backup. */
  readonly trial?: true;
  /** How many hooks are still owed `error`; absent for none. */
  readonly owed?: number;
  /** What `wrap` ran; absent if it ran nothing. `path` is the name that it was given by. */
  readonly command?: ResultEntry;
}

/** How a session ended. `time` is when it began, `ended` when that was, as ISO 8601 in UTC. */
export interface SessionEnd extends Pick<SessionEntry, 'session' | 'time' | 'outcome' | 'seconds' | 'error'> {
  readonly ended: string;
}

/** How sessions of an operation and a name stand. */
export interface Standing {
  readonly operation: Operation;
  readonly name: string;
  readonly last: SessionEnd;
  /** How many hooks are still owed `error`. */
  readonly owed: number;
  /** Of the last session. `seconds` is of all its states. */
  readonly hooks: readonly {
    readonly hook: string;
    readonly hasSucceeded: boolean;
    readonly seconds: number;
  }[];
  /** The last that succeeded; null if none has. */
  readonly success: SessionEnd | null;
}

/** A session that came to its end, with what its hooks did. */
export interface PastSession extends SessionEntry {
  readonly hooks: readonly HookEntry[];
}

/** What a hook of `pre` wants the operation to see: `path` as a snapshot of it has it, or live where a snapshot is around it. */
export type ViewEntry =
  | {
      readonly kind: 'snapshot';
      readonly fstype: string;
      readonly source: string;
      readonly path: string;
      readonly options: string;
      /** File name of who asked. */
      readonly hook: string;
      /** Of what that hook wrote, counted from 1. */
      readonly line: number;
    }
  | { readonly kind: 'live'; readonly path: string; readonly hook: string; readonly line: number };

/** What can be shown to whoever runs the operation: nothing but what is there, or snapshots at their places, that of `/` too or not. */
export type Sight = 'none' | 'below-root' | 'any';

/** A snapshot at its place in the view, as proc_pid_mountinfo(5) has it: by these, whoever lives there is found. */
export interface ViewMount {
  /** `MAJOR:MINOR`. */
  readonly device: string;
  /** What of the file system is mounted. */
  readonly root: string;
  /** Where. */
  readonly path: string;
}

/** A process that no other will ever be taken for: not after its end, nor after the next boot. */
export interface ProcessId {
  readonly pid: number;
  /** In clock ticks since boot (proc_pid_stat(5)); null without /proc. */
  readonly start: number | null;
  /** /proc/sys/kernel/random/boot_id (proc_sys_kernel(5)); null without /proc. */
  readonly boot: string | null;
}

/** How all that a hook or a command started is found, by whoever has to end it. */
export interface Trace {
  /** The directory of its cgroup; null if it has none. */
  readonly cgroup: string | null;
  /** Its first process; null if that is not known. */
  readonly leader: ProcessId | null;
  /** Whether that leads a process group and a session of its own. */
  readonly hasOwnGroup: boolean;
  /** Entries of the environment that it was started with. */
  readonly tag: readonly string[];
}

/** A hook that was started in a session. One whose start was cut off counts: it may have been. */
export interface StartedHook {
  readonly path: string;
  /** How many times it was told `error` and exited non-zero. */
  readonly attempts: number;
  /** Whether it was told `error` and exited 0. */
  readonly isSettled: boolean;
}

/** What has to be known of a session to finish it, whoever is left to do so. Nothing secret: no environment. */
export interface SessionRecord {
  /** As hooks have it in TKLBAM_HOOK_SESSION. */
  readonly session: string;
  readonly operation: Operation;
  /** What it is told apart by from others of the operation. */
  readonly name: string;
  /** When it began, as ISO 8601 in UTC. */
  readonly since: string;
  /** The same in seconds since boot, which no hook can set (proc_uptime(5)); null without /proc. */
  readonly uptime: number | null;
  /** Who is responsible for it. */
  readonly guardian: ProcessId;
  /** Who asked for it. */
  readonly caller: { readonly pid: number; readonly name: string };
  /** How far it has come; `error` from the moment it failed. */
  readonly state: State;
  /** What `wrap` runs between `state` and the next; null while it runs none. */
  readonly command: string | null;
  readonly sources: readonly HookSource[];
  /** As `HookSettings` has them; null for TurnKey's own. */
  readonly keyrings: readonly string[] | null;
  /** As `HookSettings` has it; null for none. */
  readonly timeoutMs: number | null;
  /** TKLBAM_HOOK_RESUME and TKLBAM_HOOK_SIMULATE, as far as the caller set them. */
  readonly carriedEnv: Readonly<Record<string, string>>;
  /** Only some of the hooks were asked for (--only). */
  readonly isTrial?: true;
  /** In the order of their first start. */
  readonly started: readonly StartedHook[];
  /** What the operation sees in place of the live files; absent if nothing. */
  readonly view?: readonly ViewMount[];
  /** What went wrong, a line; null as long as nothing has. */
  readonly error: string | null;
  /** File name of the hook that failed; empty if it was none. */
  readonly failed: string;
  /** Whether it has ended, and is here for what it still owes. */
  readonly isOver: boolean;
}

/** What the record of an operation holds: the session that runs, if one does, and those that still owe a hook `error`. */
export type SessionFile =
  | { readonly kind: 'sessions'; readonly sessions: readonly SessionRecord[] }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unreadable' }
  /** It is a copy: of a backup that was restored, or of another machine. `reason` is a clause that says so. */
  | { readonly kind: 'copy'; readonly reason: string };

/** A record that is there. */
export type Unfinished =
  | { readonly kind: 'running' | 'cut-off' | 'owing'; readonly record: SessionRecord }
  | { readonly kind: 'unreadable' | 'copy'; readonly operation: Operation };
