// Help, made from the table. Pure.
import { COMMANDS, OPERATIONS, OPTION_LIST, STATES } from './grammar.ts';
import { wrap } from './text.ts';

const PURPOSE = "Run TKLBAM's backup and restore hooks.";
const WORDS = [
  ['OPERATION', OPERATIONS.join(', ')],
  ['STATE', STATES.join(', ')],
] as const;
const EXIT_STATUS = [
  ['0', 'done'],
  ['1', 'a hook failed or could not be started, or check found something'],
  ['2', 'wrong usage'],
  ['3', 'a hook was refused, since others than root could have changed it'],
  ['75', 'wrap: a hook of pre put it off, with this status'],
  ['128+N', 'ended by signal N'],
  ['any', 'wrap: that of COMMAND, if it failed'],
] as const;
const EXAMPLES = [
  'tklbam-hooks list',
  'tklbam-hooks run backup pre --verbose',
  'tklbam-hooks wrap backup -- restic backup /etc /srv',
];

/** Help for one command, or for all of them. Fits 80 columns. */
export function help(name: string | undefined): string {
  const command = name === undefined ? undefined : COMMANDS[name];
  const sections: [string, readonly (readonly [string, string])[]][] = [];
  if (command === undefined) {
    const rows = Object.entries(COMMANDS).map(
      ([word, each]) => [`${word} ${each.arguments}`, each.purpose] as const,
    );
    sections.push(['Commands', rows]);
  }
  const options = OPTION_LIST.filter(([option]) => {
    if (option === 'help') return true;
    return command === undefined ? option === 'version' : command.options.some(known => known === option);
  });
  sections.push(['Words', WORDS]);
  sections.push([
    'Options',
    options.map(([option, { short, value, help: text }]) => {
      const flag = `--${option}${value === undefined ? '' : ` ${value}`}`;
      return [short === undefined ? flag : `-${short}, ${flag}`, text] as const;
    }),
  ]);
  sections.push(['Exit status', EXIT_STATUS]);
  if (command === undefined) sections.push(['Examples', EXAMPLES.map(example => [example, ''] as const)]);

  const usage = command === undefined ? 'COMMAND [OPTION]…' : `${name} ${command.arguments} [OPTION]…`;
  const more = command === undefined ? "\nSee 'tklbam-hooks COMMAND --help', and tklbam-hooks(8).\n" : '';
  const text = wrap(command?.purpose ?? PURPOSE, 80).join('\n');
  return `Usage: tklbam-hooks ${usage}\n${text}\n${sections.map(section).join('')}${more}`;
}

function section([title, rows]: readonly [string, readonly (readonly [string, string])[]]): string {
  const width = Math.min(Math.max(...rows.map(([left]) => left.length)), 24);
  const lines = rows.flatMap(([left, right]) => {
    const texts = wrap(right, 80 - width - 4);
    const first =
      left.length > width ? [`  ${left}`] : [`  ${left.padEnd(width)}  ${texts.shift() ?? ''}`.trimEnd()];
    return [...first, ...texts.map(text => `${' '.repeat(width + 4)}${text}`)];
  });
  return `\n${title}:\n${lines.join('\n')}\n`;
}
