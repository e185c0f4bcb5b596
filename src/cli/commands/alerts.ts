/** `tidemark alerts …`: what fires, who takes care of it, and who wants to hear nothing for a while. */
import { Command } from 'commander';
import type { AlertRuleView, AlertsView, AlertView, SilenceView } from '../../api/index.ts';
import type { Client } from '../client.ts';
import { type CliContext, type ReachFlags, withClient, withReach } from '../context.ts';
import { renderTable } from '../table.ts';
import { write } from '../terminal.ts';
import { UsageError } from '../usage.ts';

interface NoteFlags extends ReachFlags {
  readonly by?: string;
  readonly comment?: string;
}

interface SilenceFlags extends NoteFlags {
  readonly for?: string;
}

const UNITS: Readonly<Record<string, number>> = { s: 1e3, m: 6e4, h: 3.6e6, d: 8.64e7 };

export function alertsCommand(context: CliContext): Command {
  const shown = <T>(run: (client: Client) => Promise<T>, text: (answer: T) => string) => {
    return async (flags: ReachFlags): Promise<void> => {
      const answer = await withClient(context, flags, run);
      const out = flags.json ? `${JSON.stringify(answer, null, 2)}\n` : text(answer);
      await write(context.terminal.stdout, out);
    };
  };
  const command = withReach(new Command('alerts').description('what fires and is about to')).action(
    shown((client) => client.get<AlertsView>('/v1/alerts'), alertsText),
  );
  const sub = (words: string, about: string) => {
    const [name, given] = words.split(' ') as [string, string?];
    const made = new Command(name).description(about);
    return withReach(given === undefined ? made : made.argument(given));
  };
  command.addCommand(
    sub('history', 'the last transitions, newest first').action((_: unknown, own: Command) =>
      shown(
        (client) => client.get<AlertsView>('/v1/alerts?from=0&limit=1000'),
        ({ history }) => tableOf(history),
      )(own.optsWithGlobals()),
    ),
  );
  command.addCommand(
    sub('rules', 'the rules that are judged by').action((_: unknown, own: Command) =>
      shown(
        (client) => client.get<{ rules: readonly AlertRuleView[] }>('/v1/alerts/rules'),
        ({ rules }) =>
          renderTable(
            ['rule', 'on', 'firing', 'what'],
            rules.map(({ name, enabled, firing, description }) => [
              name,
              enabled ? 'yes' : 'no',
              String(firing),
              description,
            ]),
          ),
      )(own.optsWithGlobals()),
    ),
  );
  command.addCommand(
    sub('ack <id>', 'take care of an alert: it is not repeated')
      .option('--by <name>', 'who')
      .option('--comment <text>', 'for those who look later')
      .action((id: string, _: unknown, own: Command) => {
        const flags = own.optsWithGlobals<NoteFlags>();
        return shown(
          (client) =>
            client.post<AlertView>(
              `/v1/alerts/${encodeURIComponent(id)}/acknowledge`,
              noteOf(flags, 'by'),
            ),
          ({ summary }) => `acknowledged: ${summary}\n`,
        )(flags);
      }),
  );
  command.addCommand(
    sub('silence <matchers...>', 'send nothing of alerts with these labels, such as host=web-*')
      .option('--for <duration>', '30m, 2h, 1d', '1h')
      .option('--by <name>', 'who')
      .option('--comment <text>', 'why')
      .action((words: string[], _: unknown, own: Command) => {
        const flags = own.optsWithGlobals<SilenceFlags>();
        const body = {
          matchers: matchersOf(words),
          durationMs: durationOf(flags.for ?? '1h'),
          ...noteOf(flags, 'createdBy'),
        };
        return shown(
          (client) => client.post<SilenceView>('/v1/alerts/silences', body),
          ({ id, endsAt }) => `silence ${id} until ${new Date(endsAt).toISOString()}\n`,
        )(flags);
      }),
  );
  command.addCommand(
    sub('silences', 'silences, with those that are over for less than a day').action(
      (_: unknown, own: Command) =>
        shown(
          (client) => client.get<{ silences: readonly SilenceView[] }>('/v1/alerts/silences'),
          ({ silences }) =>
            renderTable(
              ['id', 'state', 'until', 'matchers', 'comment'],
              silences.map(({ id, state, endsAt, matchers, comment }) => [
                id,
                state,
                new Date(endsAt).toISOString(),
                Object.entries(matchers)
                  .map((pair) => pair.join('='))
                  .join(' '),
                comment ?? '-',
              ]),
            ),
        )(own.optsWithGlobals()),
    ),
  );
  command.addCommand(
    sub('unsilence <id>', 'end a silence now').action((id: string, _: unknown, own: Command) =>
      shown(
        (client) => client.delete<SilenceView>(`/v1/alerts/silences/${encodeURIComponent(id)}`),
        () => `silence ${id} has ended\n`,
      )(own.optsWithGlobals()),
    ),
  );
  return command;
}

function alertsText({ firing, pending }: AlertsView): string {
  if (firing.length + pending.length === 0) return 'nothing fires\n';
  return tableOf([...firing, ...pending]);
}

const tableOf = (alerts: readonly (AlertsView['history'][number] & Partial<AlertView>)[]) =>
  renderTable(
    ['id', 'state', 'severity', 'at', 'what'],
    alerts.map(({ id, state, severity, at, summary, acknowledged, silencedBy }) => [
      id,
      acknowledged ? `${state}, acknowledged` : silencedBy ? `${state}, silenced` : state,
      severity,
      new Date(at).toISOString(),
      summary,
    ]),
  );

const noteOf = ({ by, comment }: NoteFlags, who: 'by' | 'createdBy') => ({
  ...(by === undefined ? {} : { [who]: by }),
  ...(comment === undefined ? {} : { comment }),
});

function matchersOf(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    words.map((word) => {
      const at = word.indexOf('=');
      if (at > 0 && at < word.length - 1) return [word.slice(0, at), word.slice(at + 1)];
      throw new UsageError(`"${word}" is no matcher; write label=value, such as host=web-*`);
    }),
  );
}

function durationOf(word: string): number {
  const parts = /^(\d{1,6})([smhd])$/.exec(word);
  if (parts === null) throw new UsageError(`--for ${word} is no duration; write 30m, 2h or 1d`);
  return Number(parts[1]) * (UNITS[parts[2] as string] as number);
}
