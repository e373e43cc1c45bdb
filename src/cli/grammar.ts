// The table of commands and options, for parsing, for help and for completions. Pure data.
import type { LibraryName, Operation, State } from '../types.ts';

export const OPERATIONS: readonly Operation[] = ['backup', 'restore'];
export const STATES: readonly State[] = ['pre', 'inspect', 'post', 'error'];

/** The ready hooks (src/library). */
export const LIBRARY: readonly LibraryName[] = [
  'services',
  'snapshot',
  'cleanup',
  'notify',
  'sqlite',
  'postgresql',
  'mariadb',
  'tklbam-databases',
  'redis',
  'openldap',
  'etcd',
];

export type OptionName = keyof typeof OPTIONS;
interface Option {
  /** Name of the value; absent for a flag. In brackets, it may be left out, and begins with a digit. */
  readonly value?: string;
  readonly short?: string;
  readonly repeatable?: true;
  readonly help: string;
}
const OPTIONS = {
  hooks: { value: 'DIR', help: 'local hooks (default: $TKLBAM_HOOKS, else /etc/tklbam/hooks.d)' },
  profile: {
    value: 'DIR',
    help: 'profile, with its hooks in DIR/hooks.d (default: $TKLBAM_REGISTRY/profile, else /var/lib/tklbam/profile)',
  },
  cwd: { value: 'DIR', help: 'where hooks start (default: the current directory)' },
  keyring: {
    value: 'FILE',
    repeatable: true,
    help: "keys of profile hooks; may be repeated (default: $TKLBAM_HOOKS_KEYRING, else TurnKey's keyrings)",
  },
  timeout: {
    value: 'DURATION',
    help: 'time limit of each hook that does not ask for its own, as 90s, 5m or 6h; 0 for none (default: $TKLBAM_HOOKS_TIMEOUT, else 6h)',
  },
  control: {
    value: 'FD',
    help: 'the connected stream socket on which the caller says which state it has come to',
  },
  inspect: { value: 'DIR', help: 'run the hooks of inspect too, in DIR, between those of pre and COMMAND' },
  settings: {
    value: 'FILE',
    help: 'settings of a hook of the library (default: NAME.conf beside the hooks)',
  },
  'warn-status': {
    value: 'N',
    repeatable: true,
    help: 'an exit status of COMMAND that is a warning, since its work is done (borg: 1, restic: 3); may be repeated',
  },
  name: {
    value: 'NAME',
    help: 'what the session is called in status, log and hooks; by default, as its program',
  },
  wait: {
    value: '[DURATION]',
    help: 'wait for a session that is running, at most so long; without DURATION, as long as it takes',
  },
  'command-timeout': {
    value: 'DURATION',
    help: 'time limit of COMMAND, as that of a hook; its status is 124 then (default: none)',
  },
  ignored: {
    value: 'SIGNAL',
    repeatable: true,
    help: 'a signal that the caller ignores, and hooks are to ignore too: HUP, INT or QUIT; may be repeated',
  },
  forget: { help: 'give up what hooks are still owed, of OPERATION or of both; tells none' },
  only: { value: 'NAME', repeatable: true, help: 'run this hook alone; may be repeated' },
  'dry-run': { help: 'print what would run, run nothing' },
  check: { help: 'one line for Nagios or Icinga, and its status: 0 good, 1 warning, 2 critical, 3 unknown' },
  'max-age': {
    value: 'DURATION',
    help: 'how old the last good backup may be; 0 for any age (default: 26h)',
  },
  prometheus: { help: 'print metrics for Prometheus' },
  all: { help: 'show every hook, and all that failed ones said' },
  verbose: { short: 'v', help: 'say which hook starts, how it ended and how long it took' },
  json: { help: 'print JSON' },
  help: { short: 'h', help: 'print this' },
  version: { help: 'print the version' },
} as const satisfies Record<string, Option>;
export const OPTION_LIST = Object.entries(OPTIONS) as readonly (readonly [OptionName, Option])[];

export interface Command {
  readonly arguments: string;
  readonly purpose: string;
  /** What is typed behind the name of the program, the most usual first. */
  readonly examples: readonly string[];
  readonly options: readonly OptionName[];
  /** The manual page that says more; absent for tklbam-hooks(8). */
  readonly page?: string;
}
/** In the order of the help: what is asked for most comes first. */
export const COMMANDS: Readonly<Record<string, Command>> = {
  status: {
    arguments: '',
    purpose: 'Show the backups and restores that run or were cut off, and how the last ones ended.',
    examples: ['status', 'status --all', 'status --check --max-age 26h'],
    options: ['all', 'json', 'check', 'max-age', 'name', 'prometheus'],
  },
  history: {
    arguments: '[OPERATION]',
    purpose: 'Show the last 30 backups and restores, a line each.',
    examples: ['history', 'history restore'],
    options: [],
  },
  list: {
    arguments: '[OPERATION [STATE]]',
    purpose: 'Show every entry of the hooks directories, in the order they would run, and why one would not.',
    examples: ['list', 'list restore post'],
    options: ['hooks', 'profile', 'keyring', 'timeout', 'json'],
  },
  check: {
    arguments: '[NAME]...',
    purpose: 'Find what would keep hooks from running, before the night. Runs none.',
    examples: ['check', 'check services --json'],
    options: ['hooks', 'profile', 'keyring', 'json'],
  },
  enable: {
    arguments: 'NAME...',
    purpose: 'Switch hooks on, and say what their settings still lack.',
    examples: ['enable services'],
    options: ['hooks', 'profile'],
  },
  disable: {
    arguments: 'NAME...',
    purpose: 'Switch hooks off, so that they stay off when packages or profiles are updated.',
    examples: ['disable fixclock'],
    options: ['hooks', 'profile'],
  },
  new: {
    arguments: 'NAME',
    purpose: 'Write a hook that does nothing yet, with a place for each state. It is not switched on.',
    examples: ['new 40-shop'],
    options: ['hooks'],
    page: 'tklbam-hooks(5)',
  },
  wrap: {
    arguments: 'OPERATION -- COMMAND [ARG]...',
    purpose: 'Run the hooks of pre, then COMMAND, then the hooks of post; those of error if anything fails.',
    examples: [
      'wrap backup -- restic backup /etc /srv',
      'wrap backup --dry-run -- restic backup /etc /srv',
      'wrap backup --wait 2h --warn-status 1 -- borg create ::now /srv',
    ],
    options: [
      ...(['hooks', 'profile', 'keyring', 'timeout', 'inspect', 'warn-status', 'name', 'wait'] as const),
      ...(['command-timeout', 'only', 'dry-run', 'verbose'] as const),
    ],
  },
  run: {
    arguments: 'OPERATION STATE',
    purpose: 'Run the hooks of a state.',
    examples: ['run backup pre --verbose', 'run backup post --only services'],
    options: ['hooks', 'profile', 'keyring', 'timeout', 'cwd', 'only', 'dry-run', 'verbose'],
  },
  recover: {
    arguments: '[OPERATION]',
    purpose:
      'Run the hooks of error for each backup or restore that was cut off. Done at boot, and by each new one.',
    examples: ['recover --dry-run', 'recover', 'recover --forget backup'],
    options: ['dry-run', 'forget'],
  },
  session: {
    arguments: 'OPERATION',
    purpose:
      'Run the hooks of an operation as its program asks for them, and those of error if it fails or dies.',
    examples: ['session backup --control 3'],
    options: ['hooks', 'profile', 'keyring', 'timeout', 'control', 'ignored'],
    page: 'tklbam-hooks-protocol(7)',
  },
  library: {
    arguments: 'HOOK OPERATION STATE',
    purpose:
      'Do the work of a ready hook. The hook of that name calls it. With verify [DIR] in place of OPERATION STATE: whether its dumps are whole.',
    examples: ['library services backup pre'],
    options: ['hooks', 'settings'],
    page: 'tklbam-hooks(5)',
  },
  fixclock: {
    arguments: 'OPERATION STATE',
    purpose: 'Set the clock from an NTP server, before a backup or a restore.',
    examples: ['fixclock backup pre --verbose'],
    options: ['verbose'],
  },
};
