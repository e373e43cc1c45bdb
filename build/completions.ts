// Completions for bash, zsh and fish, made from the table of commands and options. Each names a value by its kind; what a kind
// offers is in packaging/completions.
import { readFileSync } from 'node:fs';
import { COMMANDS, type Command, LIBRARY, OPERATIONS, OPTION_LIST, STATES } from '../src/cli/grammar.ts';

/** What may stand in a place: words, or a kind. */
type Choice =
  | readonly string[]
  | 'directory'
  | 'file'
  | 'enabled-hook'
  | 'hook'
  | 'new-name'
  | 'command-line'
  | 'text';

/** Where the package has each, and its text. */
export function completions(): Readonly<Record<string, string>> {
  const template = (shell: string): string => readFileSync(`packaging/completions/${shell}`, 'utf8');
  return {
    'bash/tklbam-hooks': template('bash').replace('@TABLE@\n', () => bashTable()),
    'zsh/_tklbam-hooks': template('zsh').replace('@TABLE@\n', () => zshTable()),
    'fish/tklbam-hooks.fish': template('fish')
      .replace(
        '@VALUES@',
        OPTION_LIST.filter(([, { value }]) => value !== undefined)
          .map(([name]) => name)
          .join('|'),
      )
      .replace('@TABLE@\n', () => fishTable()),
  };
}

/** The places after the command. The last one repeats if it says so. */
function places(
  name: string,
  { arguments: text }: Command,
): { readonly choices: Choice[]; repeats: boolean } {
  const words = text
    .replaceAll(/[[\]….]/g, ' ')
    .split(' ')
    .filter(word => word !== '');
  const end = words.indexOf('--');
  const choices = (end === -1 ? words : words.slice(0, end)).map(word => choice(name, word));
  if (end !== -1) choices.push(['--'], 'command-line');
  return { choices, repeats: end === -1 && /…|\.{3}/.test(text) };
}

function choice(command: string, word: string): Choice {
  switch (word) {
    case 'OPERATION':
      return OPERATIONS;
    case 'STATE':
      return STATES;
    case 'HOOK':
      return LIBRARY;
    case 'COMMAND':
      return Object.keys(COMMANDS);
    case 'NAME':
      return command === 'new' ? 'new-name' : 'hook';
    default:
      return 'text';
  }
}

/** Undefined for a flag, and for what may be given as one. */
function optionValue(name: string, value: string | undefined): Choice | undefined {
  if (value === undefined || value.startsWith('[')) return undefined;
  if (name === 'only') return 'enabled-hook';
  return value === 'DIR' ? 'directory' : value === 'FILE' ? 'file' : 'text';
}

const optionsOf = (command: Command | undefined) =>
  OPTION_LIST.filter(([name]) =>
    command === undefined
      ? name === 'help' || name === 'version'
      : name === 'help' || command.options.some(each => each === name),
  );

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
const inBash = (what: Choice): string => quote(typeof what === 'string' ? `@${what}` : what.join(' '));

function bashTable(): string {
  const lines = ['_tklbam_hooks_options() {', '    case $1 in'];
  const flags = (command: Command | undefined): string =>
    optionsOf(command)
      .map(([name]) => `--${name}`)
      .join(' ');
  for (const [name, command] of Object.entries(COMMANDS))
    lines.push(`        ${name}) echo '${flags(command)}' ;;`);
  lines.push(`        *) echo '${flags(undefined)}' ;;`, '    esac', '}', '');
  lines.push('_tklbam_hooks_value() {', '    case $1 in');
  for (const [name, { value }] of OPTION_LIST) {
    const what = optionValue(name, value);
    if (what !== undefined) lines.push(`        --${name}) echo ${inBash(what)} ;;`);
  }
  lines.push(
    '    esac',
    '}',
    '',
    '# The command, and how many words there are after it.',
    '_tklbam_hooks_place() {',
    '    case $1:$2 in',
  );
  lines.push(`        :*) echo ${inBash(Object.keys(COMMANDS))} ;;`);
  for (const [name, command] of Object.entries(COMMANDS)) {
    const { choices, repeats } = places(name, command);
    choices.forEach((what, index) => {
      const last = repeats && index === choices.length - 1;
      lines.push(`        ${name}:${last ? '*' : index}) echo ${inBash(what)} ;;`);
    });
  }
  return `${[...lines, '    esac', '}'].join('\n')}\n`;
}

/** What follows the colon of a specification of zsh's _arguments. */
const inZsh = (what: Choice): string => {
  switch (what) {
    case 'directory':
      return '_files -/';
    case 'file':
      return '_files';
    case 'enabled-hook':
      return '_tklbam_hooks_enabled';
    case 'hook':
      return '_tklbam_hooks_files';
    case 'command-line':
      return '_normal';
    case 'new-name':
    case 'text':
      return ' ';
    default:
      return `(${what.join(' ')})`;
  }
};
const zshText = (text: string): string => text.replaceAll(/[[\]:\\]/g, '\\$&').replaceAll(/[`$]/g, '\\$&');

function zshTable(): string {
  const lines = ['_tklbam_hooks_commands=('];
  for (const [name, { purpose }] of Object.entries(COMMANDS))
    lines.push(`    ${quote(`${name}:${purpose}`)}`);
  lines.push(')', '', '_tklbam_hooks_arguments() {', '    case $1 in');
  for (const [name, command] of Object.entries(COMMANDS)) {
    const { choices, repeats } = places(name, command);
    const specs = optionsOf(command).map(([option, { value, repeatable, help }]) => {
      const what = optionValue(option, value);
      const many = repeatable ? '*' : '';
      const end = what === undefined ? '' : `:${value}:${inZsh(what)}`;
      return `${many}--${option}${what === undefined ? '' : '='}[${zshText(help)}]${end}`;
    });
    choices.forEach((what, index) => {
      if (Array.isArray(what) && what[0] === '--') return;
      const last = index === choices.length - 1 && (repeats || what === 'command-line');
      specs.push(
        what === 'command-line' ? '*::command:_normal' : `${last ? '*' : index + 1}:word:${inZsh(what)}`,
      );
    });
    lines.push(
      `        ${name})`,
      `            _arguments -S ${specs.map(quote).join(' \\\n                ')}`,
      '            ;;',
    );
  }
  return `${[...lines, '    esac', '}'].join('\n')}\n`;
}

const inFish = (what: Choice): string => {
  switch (what) {
    case 'directory':
      return "-x -a '(__fish_complete_directories)'";
    case 'file':
      return '-r -F';
    case 'enabled-hook':
      return "-x -a '(__tklbam_hooks_enabled)'";
    case 'hook':
      return "-a '(__tklbam_hooks_files)'";
    case 'command-line':
    case 'new-name':
      return '';
    case 'text':
      return '-x';
    default:
      return `-a ${quote(what.join(' '))}`;
  }
};

function fishTable(): string {
  const lines = Object.entries(COMMANDS).map(
    ([name, { purpose }]) =>
      `complete -c tklbam-hooks -n '__tklbam_hooks_at 0' -a ${name} -d ${fishQuote(purpose)}`,
  );
  for (const [name, { help }] of optionsOf(undefined)) {
    lines.push(`complete -c tklbam-hooks -n '__tklbam_hooks_at 0' -l ${name} -d ${fishQuote(help)}`);
  }
  for (const [name, command] of Object.entries(COMMANDS)) {
    for (const [option, { value, short, help }] of optionsOf(command)) {
      const what = optionValue(option, value);
      const takes = what === undefined ? '' : ` ${inFish(what)}`;
      const letter = short === undefined ? '' : ` -s ${short}`;
      lines.push(
        `complete -c tklbam-hooks -n '__tklbam_hooks_in ${name}' -l ${option}${letter}${takes} -d ${fishQuote(help)}`,
      );
    }
    const { choices, repeats } = places(name, command);
    choices.forEach((what, index) => {
      if (what === 'new-name' || what === 'text' || what === 'command-line') return;
      const at =
        repeats && index === choices.length - 1
          ? `__tklbam_hooks_in ${name}`
          : `__tklbam_hooks_at ${index + 1} ${name}`;
      lines.push(`complete -c tklbam-hooks -n '${at}' ${inFish(what)}`);
    });
  }
  return `${lines.join('\n')}\n`;
}

/** Fish knows no `'\''`. */
const fishQuote = (text: string): string => `'${text.replaceAll(/['\\]/g, '\\$&')}'`;
