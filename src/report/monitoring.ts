// What monitoring asks: a line for Nagios and Icinga, metrics for Prometheus. Pure.
import { escapeControls, escapeStored } from '../cli/text.ts';
import type { Operation, Standing } from '../types.ts';
import { ago } from './times.ts';

interface Answer {
  /** Of the Monitoring Plugins' guidelines: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN. */
  readonly status: 0 | 1 | 2 | 3;
  readonly line: string;
}

const WORDS = ['OK', 'WARNING', 'CRITICAL', 'UNKNOWN'] as const;

/**
 * Whether there is a good backup that is not older than that, and nothing is owed. What has not run for so long does not count: it may not be
 * there to run any more. `standings` may be why they are not known.
 */
export function checkAnswer(
  standings: readonly Standing[] | string,
  maxAgeMs: number,
  now: Date,
  name?: string,
): Answer {
  const answer = (status: Answer['status'], text: string, data = ''): Answer => ({
    status,
    line: `${WORDS[status]} - ${text}${data && ` | ${data}`}`,
  });
  if (typeof standings === 'string')
    return answer(3, `how the last backup ended cannot be read: ${standings}`);
  const age = (iso: string): number => now.getTime() - Date.parse(iso);
  const own = standings.filter(each => name === undefined || each.name === name);
  const of = (operation: Operation): Standing[] => own.filter(each => each.operation === operation);
  const backups = of('backup');
  if (backups.length === 0)
    return answer(3, name === undefined ? 'there was no backup yet' : `there was no backup '${name}' yet`);
  const recent = backups.filter(({ last }) => age(last.ended) <= maxAgeMs);
  const successes = backups.flatMap(({ success }) => success ?? []);
  const newest = successes.toSorted((a, b) => age(a.ended) - age(b.ended))[0];
  const good =
    newest === undefined ? 'never a good one' : `the last good one ended ${ago(age(newest.ended))}`;
  const data = performanceData(recent.length === 0 ? backups : recent, maxAgeMs, age);
  const owing = own.filter(({ owed }) => owed > 0);
  if (owing.length > 0) {
    const hooks = owing.reduce((sum, { owed }) => sum + owed, 0);
    const are = hooks === 1 ? '1 hook is' : `${hooks} hooks are`;
    const text = `${owing.map(label).join(', ')}: ${are} owed 'error', and services may be stopped`;
    return answer(2, `${text} (tklbam-hooks recover)`, data);
  }
  if (recent.length === 0) return answer(2, `no backup ended for ${hours(maxAgeMs)}, ${good}`, data);
  const failed = recent.filter(({ last }) => last.outcome !== 'succeeded' && last.outcome !== 'put-off');
  if (failed.length > 0) {
    const texts = failed.map(each => `${label(each)} failed ${ago(age(each.last.ended))}${why(each)}`);
    return answer(2, `${texts.join('; ')}; ${good}`, data);
  }
  const putOff = recent.filter(({ last }) => last.outcome === 'put-off');
  const late = putOff.filter(({ success }) => success === null || age(success.ended) > maxAgeMs);
  if (late.length > 0) return answer(2, `${late.map(label).join(', ')} was put off, and ${good}`, data);
  if (putOff.length > 0) return answer(1, `${putOff.map(label).join(', ')} was put off, ${good}`, data);
  const restores = of('restore').filter(
    ({ last }) => last.outcome !== 'succeeded' && age(last.ended) <= maxAgeMs,
  );
  const texts = restores.map(each => `${label(each)} failed ${ago(age(each.last.ended))}${why(each)}`);
  if (texts.length > 0) return answer(1, `${texts.join('; ')}; of backups, ${good}`, data);
  return answer(0, `${recent.map(label).join(', ')} good, ${good}`, data);
}

const label = ({ operation, name }: Standing): string =>
  name === '' ? operation : `${operation} '${escapeControls(name)}'`;

/** What stands after `|` is data: none of it may be in a text. */
const why = ({ last }: Standing): string =>
  last.error === null ? '' : ` (${escapeStored(last.error).replaceAll('|', '/')})`;

const hours = (ms: number): string => `${Math.round(ms / 360_000) / 10} h`;

/** `'label'=value[unit];[warn];[crit];[min];[max]` */
function performanceData(
  standings: readonly Standing[],
  maxAgeMs: number,
  age: (iso: string) => number,
): string {
  const limit = Number.isFinite(maxAgeMs) ? String(maxAgeMs / 1000) : '';
  return standings
    .flatMap(({ operation, name, last, success, owed }) => {
      const of = (what: string): string =>
        `'${escapeControls(name || operation).replace(/[='|]/g, '_')} ${what}'`;
      const seconds = success === null ? 'U' : `${Math.max(0, Math.round(age(success.ended) / 1000))}s`;
      return [
        `${of('age')}=${seconds};;${limit};0;`,
        `${of('duration')}=${last.seconds}s;;;0;`,
        `${of('owed')}=${owed};;0;0;`,
      ];
    })
    .join(' ');
}

interface Metric {
  readonly name: string;
  readonly help: string;
  readonly samples: readonly (readonly [labels: Readonly<Record<string, string>>, value: number])[];
}

/** As https://prometheus.io/docs/specs/om/open_metrics_spec/ has it. All are gauges. */
export function prometheusText(standings: readonly Standing[], version: string): string {
  const session = (each: Standing) => ({ operation: each.operation, name: each.name });
  const seconds = (iso: string): number => Date.parse(iso) / 1000;
  const metrics: readonly Metric[] = [
    { name: 'build_info', help: 'Version of tklbam-hooks.', samples: [[{ version }, 1]] },
    {
      name: 'last_success_timestamp_seconds',
      help: 'End of the last session that succeeded.',
      samples: standings.flatMap(each =>
        each.success === null ? [] : [[session(each), seconds(each.success.ended)] as const],
      ),
    },
    {
      name: 'last_end_timestamp_seconds',
      help: 'End of the last session, however it ended.',
      samples: standings.map(each => [session(each), seconds(each.last.ended)] as const),
    },
    {
      name: 'last_duration_seconds',
      help: 'How long the last session took.',
      samples: standings.map(each => [session(each), each.last.seconds] as const),
    },
    {
      name: 'last_succeeded',
      help: 'Whether the last session succeeded.',
      samples: standings.map(each => [session(each), each.last.outcome === 'succeeded' ? 1 : 0] as const),
    },
    {
      name: 'owed_hooks',
      help: "Hooks that failed when they were told 'error', and may have left services stopped.",
      samples: standings.map(each => [session(each), each.owed] as const),
    },
    {
      name: 'hook_duration_seconds',
      help: 'How long a hook took in the last session, in all of its states.',
      samples: standings.flatMap(each =>
        each.hooks.map(({ hook, seconds: its }) => [{ ...session(each), hook }, its] as const),
      ),
    },
    {
      name: 'hook_succeeded',
      help: 'Whether a hook succeeded in each of its states in the last session.',
      samples: standings.flatMap(each =>
        each.hooks.map(
          ({ hook, hasSucceeded }) => [{ ...session(each), hook }, hasSucceeded ? 1 : 0] as const,
        ),
      ),
    },
  ];
  return `${metrics.map(family).join('')}# EOF\n`;
}

function family({ name, help, samples }: Metric): string {
  const full = `tklbam_hooks_${name}`;
  const unit = name.endsWith('_seconds') ? [`# UNIT ${full} seconds\n`] : [];
  const lines = samples.map(([labels, value]) => {
    const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escapeLabel(text)}"`);
    return `${full}{${pairs.join(',')}} ${value}\n`;
  });
  return [`# HELP ${full} ${help}\n`, `# TYPE ${full} gauge\n`, ...unit, ...lines].join('');
}

const escapeLabel = (text: string): string =>
  escapeControls(text).replaceAll('\\', '\\\\').replaceAll('"', '\\"');
