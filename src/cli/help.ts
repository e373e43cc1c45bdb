// Help, made from the table. Pure.
import { COMMANDS, OPERATIONS, OPTION_LIST, STATES } from './grammar.ts';
import { wrap } from './text.ts';

const PURPOSE = "Run TKLBAM's backup and restore hooks.";
const WORDS = [
  ['OPERATION', OPERATIONS.join(', ')],
  ['STATE', STATES.join(', ')],
] as const;
const RUN_HOOKS = ['run', 'wrap', 'session', 'recover'];
/** `of`: the commands that end so; absent for all. */
const EXIT_STATUS: readonly {
  readonly status: string;
  readonly text: string;
  readonly of?: readonly string[];
}[] = [
  { status: '0', text: 'done' },
  { status: '1', text: 'a hook failed or could not be started', of: RUN_HOOKS },
  { status: '1', text: 'it found something', of: ['check'] },
  {
    status: '1',
    text: 'it could not be done',
    of: ['list', 'status', 'enable', 'disable', 'new', 'library'],
  },
  { status: '1', text: 'the clock could not be set', of: ['fixclock'] },
  { status: '2', text: 'wrong usage' },
  { status: '3', text: 'a hook was refused, since others than root could have changed it', of: RUN_HOOKS },
  {
    status: '75',
    text: 'not now: another session is running, or a hook of pre put it off',
    of: ['wrap', 'session'],
  },
  { status: '128+N', text: 'ended by signal N', of: [...RUN_HOOKS] },
  { status: 'any', text: 'that of COMMAND, if it failed', of: ['wrap'] },
];
const MORE = `'tklbam-hooks help COMMAND', and the manual pages tklbam-hooks(8),
tklbam-hooks(5) to write hooks, tklbam-hooks-protocol(7) for programs`;
const EXAMPLES = [
  ['status', 'whether the last backup was good, and why it was not'],
  ['check', 'what would keep hooks from running tonight'],
  ['list', 'which hooks run, in what order, and which do not'],
  ['wrap backup -- restic backup /etc /srv', 'hooks around a backup tool'],
] as const;

/** What is said to one who types no more than the name of the program. */
export const NO_COMMAND = `no command given. The most usual ones:
${rows(EXAMPLES.map(([example, text]) => [`tklbam-hooks ${example}`, text] as const)).join('\n')}`;

/** Help for one command, or for all of them. Fits 80 columns. */
export function help(name: string | undefined): string {
  const command = name === undefined ? undefined : COMMANDS[name];
  const examples: readonly (readonly [string, string])[] =
    command?.examples.map(example => [example, ''] as const) ?? EXAMPLES;
  const sections: [string, readonly (readonly [string, string])[]][] = [
    ['Examples', examples.map(([example, text]) => [`tklbam-hooks ${example}`, text] as const)],
  ];
  if (command === undefined) {
    const commands = Object.entries(COMMANDS).map(
      ([word, each]) => [`${word} ${each.arguments}`, each.purpose] as const,
    );
    sections.push(['Commands', commands]);
  }
  const options = OPTION_LIST.filter(([option]) => {
    if (option === 'help') return true;
    return command === undefined ? option === 'version' : command.options.some(known => known === option);
  });
  const words = WORDS.filter(([word]) => command?.arguments.includes(word) ?? true);
  if (words.length > 0) sections.push(['Words', words]);
  sections.push([
    'Options',
    options.map(([option, { short, value, help: text }]) => {
      const flag = `--${option}${value === undefined ? '' : ` ${value}`}`;
      return [short === undefined ? flag : `-${short}, ${flag}`, text] as const;
    }),
  ]);
  const ends = EXIT_STATUS.filter(({ of }) => name === undefined || of === undefined || of.includes(name));
  sections.push(['Exit status', ends.map(end => [end.status, describeEnd(end, name)] as const)]);

  const usage = command === undefined ? 'COMMAND [OPTION]...' : `${name} ${withOptions(command.arguments)}`;
  const text = wrap(command?.purpose ?? PURPOSE, 80).join('\n');
  return `Usage: tklbam-hooks ${usage}\n${text}\n${sections.map(section).join('')}
See ${command === undefined ? MORE : (command.page ?? 'tklbam-hooks(8)')}.
`;
}

/** Options stand before what belongs to another command. */
function withOptions(words: string): string {
  const [own = '', ...foreign] = words.split(' -- ');
  return [`${own} [OPTION]...`.trimStart(), ...foreign].join(' -- ');
}

/** The text of an exit status, in the help of all commands with those that end so, if they are few. */
function describeEnd({ text, of }: (typeof EXIT_STATUS)[number], name: string | undefined): string {
  return name === undefined && of !== undefined && of !== RUN_HOOKS && of.length < 4
    ? `${of.join(', ')}: ${text}`
    : text;
}

const section = ([title, pairs]: readonly [string, readonly (readonly [string, string])[]]): string =>
  `\n${title}:\n${rows(pairs).join('\n')}\n`;

/** Two columns. */
function rows(pairs: readonly (readonly [string, string])[]): string[] {
  const width = Math.min(Math.max(...pairs.map(([left]) => left.length)), 24);
  return pairs.flatMap(([left, right]) => {
    const texts = wrap(right, 80 - width - 4);
    const first =
      left.length > width ? [`  ${left}`] : [`  ${left.padEnd(width)}  ${texts.shift() ?? ''}`.trimEnd()];
    return [...first, ...texts.map(text => `${' '.repeat(width + 4)}${text}`)];
  });
}
