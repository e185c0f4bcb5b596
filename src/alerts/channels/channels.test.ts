import { createHmac } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';
import { afterEach, expect, test } from 'vitest';
import { deliver } from '../../delivery/index.ts';
import { FatalError, RetriableError } from '../../model/index.ts';
import { ManualClock, Secret, silentLogger, systemClock } from '../../runtime/index.ts';
import type { AlertMessage } from '../message.ts';
import type { ChannelConfig } from './config.ts';
import { openChannel } from './open.ts';

const NOW = 1_760_000_000_000;
const alert = {
  id: 'a',
  rule: 'cpu',
  severity: 'critical' as const,
  state: 'firing' as const,
  subject: 'web-1',
  labels: { host: 'web-1' },
  summary: '<!channel> web-1: cpu.usage is 97 %, above 90 %',
  value: 97,
  threshold: 90,
  startedAt: NOW,
  firedAt: NOW,
  resolvedAt: null,
  at: NOW,
  sequence: 1,
  repeated: false,
};
const message: AlertMessage = {
  id: 'ops/rule=cpu/1/a-1',
  channel: 'ops',
  group: 'rule=cpu',
  at: NOW,
  firing: [alert],
  resolved: [{ ...alert, id: 'b', state: 'resolved', summary: 'web-2: back within bounds' }],
};
const base = { name: 'ops', match: {}, sendResolved: true };

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

interface Got {
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly url: string | undefined;
}

async function receiver(
  statuses: readonly number[] = [],
  text: (got: Got) => string = () => 'ok',
): Promise<{ url: Secret; got: Got[] }> {
  const got: Got[] = [];
  const server: Server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      const one = { headers: request.headers, body, url: request.url };
      got.push(one);
      const status = statuses[got.length - 1] ?? 200;
      const retry = status === 429 ? { 'retry-after': '7' } : {};
      response.writeHead(status, { location: '/elsewhere', ...retry }).end(text(one));
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  closers.push(() => new Promise((done) => server.close(done)));
  const { port } = server.address() as AddressInfo;
  return { url: new Secret(`http://127.0.0.1:${port}/services/T0/s3cret-token`), got };
}

const open = (config: ChannelConfig) => {
  const sink = openChannel(config, {
    clock: new ManualClock(NOW),
    logger: silentLogger,
  });
  closers.push(() => sink.close());
  return sink;
};

test('Slack gets a line an alert, and nobody’s name can call the whole channel', async () => {
  const { url, got } = await receiver();
  expect(await open({ ...base, type: 'slack', url }).write([message])).toEqual([]);
  const body = JSON.parse(got[0]?.body ?? '');
  expect(body.text).toBe('CRITICAL 1 firing, 1 resolved: rule=cpu');
  expect(body.attachments[0]).toMatchObject({ color: 'danger' });
  expect(body.attachments[0].text).toContain('CRITICAL &lt;!channel&gt; web-1: cpu.usage is 97 %');
  expect(body.attachments[0].text).toContain('RESOLVED web-2');
});

test('a webhook gets the message as JSON, signed, with the same key when it comes again', async () => {
  const { url, got } = await receiver();
  const headers = { 'x-tenant': new Secret('blue') };
  const sink = open({ ...base, type: 'webhook', url, secret: new Secret('k3y'), headers });
  await sink.write([message]);
  await sink.write([message]);
  const [first, second] = got as [Got, Got];
  expect(JSON.parse(first.body)).toMatchObject({
    id: message.id,
    firing: [{ subject: 'web-1', severity: 'critical' }],
    resolved: [{ id: 'b' }],
  });
  const stamp = first.headers['x-tidemark-timestamp'];
  const signature = createHmac('sha256', 'k3y').update(`${stamp}.${first.body}`).digest('hex');
  expect(first.headers['x-tidemark-signature']).toBe(`sha256=${signature}`);
  expect(first.headers['x-tenant']).toBe('blue');
  expect(second.headers['idempotency-key']).toBe(first.headers['idempotency-key']);
});

test.each([
  [503, RetriableError],
  [429, RetriableError],
  [302, FatalError],
])('an answer of %i is not the end of the message', async (status, family) => {
  const { url } = await receiver([status]);
  const sink = open({ ...base, type: 'slack', url });
  await expect(sink.write([message])).rejects.toBeInstanceOf(family);
});

test.each([400, 403, 404, 410])('an answer of %i refuses the message for good', async (status) => {
  const { url } = await receiver([status], () => 'no_team');
  const rejections = await open({ ...base, type: 'slack', url }).write([message]);
  expect(rejections).toMatchObject([{ index: 0, code: 'NOTIFICATION_REFUSED' }]);
  expect(rejections[0]?.message).toContain('no_team');
});

test('no error tells the address, whatever the receiver answers and where nobody listens', async () => {
  const said: string[] = [];
  const { url } = await receiver([400, 500], ({ url: path }) => `bad request to ${path}`);
  const sink = open({ ...base, type: 'slack', url });
  said.push((await sink.write([message]))[0]?.message ?? '');
  said.push(String(await sink.write([message]).catch((error: Error) => error.stack)));
  const nobody = new Secret('http://127.0.0.1:9/services/T0/s3cret-token');
  const away = open({ ...base, type: 'slack', url: nobody });
  const error = await away.write([message]).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(RetriableError);
  said.push(JSON.stringify(error), (error as Error).stack ?? '', String((error as Error).cause));
  expect(said.join('\n')).not.toMatch(/s3cret/);
});

test('delivery tries a busy receiver again until it takes the message', async () => {
  const { url, got } = await receiver([500, 500]);
  const sink = openChannel(
    { ...base, type: 'slack', url },
    { clock: systemClock, logger: silentLogger },
  );
  const delivery = deliver(
    sink,
    { backoffBaseMs: 1, backoffCapMs: 5, batchPointsMax: 1, flushIntervalMs: 0 },
    { random: () => 0 },
  );
  closers.push(() => delivery.stop(0));
  expect(await delivery.write([message])).toEqual({ rejections: [] });
  expect(got).toHaveLength(3);
});

interface Mail {
  readonly from: string;
  readonly to: readonly string[];
  readonly text: string;
  readonly secure: boolean;
  readonly user: string | undefined;
}

async function mailServer(
  options: ConstructorParameters<typeof SMTPServer>[0] = {},
): Promise<{ port: number; mails: Mail[] }> {
  const mails: Mail[] = [];
  const server = new SMTPServer({
    authOptional: true,
    onAuth: ({ username, password }, _session, done) =>
      password === 'pa55' ? done(null, { user: username }) : done(new Error('who are you')),
    onData(stream, session, done) {
      let text = '';
      stream.on('data', (chunk) => {
        text += chunk;
      });
      stream.on('end', () => {
        mails.push({
          from: session.envelope.mailFrom === false ? '' : session.envelope.mailFrom.address,
          to: session.envelope.rcptTo.map(({ address }) => address),
          text,
          secure: session.secure,
          user: session.user as string | undefined,
        });
        done();
      });
    },
    ...options,
  });
  server.on('error', () => {});
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  closers.push(() => new Promise<void>((done) => server.close(done)));
  return { port: (server.server.address() as AddressInfo).port, mails };
}

const email = (port: number, changes: Partial<Extract<ChannelConfig, { type: 'email' }>> = {}) =>
  open({
    ...base,
    type: 'email',
    host: '127.0.0.1',
    port,
    tls: 'none',
    from: 'Tidemark <tidemark@example.org>',
    to: ['ops@example.org', 'oncall@example.org'],
    ...changes,
  });

test('e-mail goes to all, signed in, with the same Message-ID when it comes again', {
  tags: 'heavy',
}, async () => {
  const { port, mails } = await mailServer({ allowInsecureAuth: true });
  const sink = email(port, { username: 'tidemark', password: new Secret('pa55') });
  expect(await sink.write([message])).toEqual([]);
  await sink.write([message]);
  const [first, second] = mails as [Mail, Mail];
  expect(first).toMatchObject({
    from: 'tidemark@example.org',
    to: ['ops@example.org', 'oncall@example.org'],
    user: 'tidemark',
  });
  expect(first.text).toMatch(/^Subject: \[Tidemark\] CRITICAL 1 firing, 1 resolved: rule=cpu\r?$/m);
  const idOf = ({ text }: Mail) => /^Message-ID: (.*)$/m.exec(text)?.[1];
  expect(idOf(first)).toMatch(/@tidemark.alerts>/);
  expect(idOf(second)).toBe(idOf(first));
});

test('a wrong password needs an operator, and is in no message', async () => {
  const { port } = await mailServer({ allowInsecureAuth: true });
  const sink = email(port, { username: 'tidemark', password: new Secret('wr0ng-s3cret') });
  const error = await sink.write([message]).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(FatalError);
  expect(`${(error as Error).stack}${String((error as Error).cause)}`).not.toContain(
    'wr0ng-s3cret',
  );
});

test('a server that refuses a recipient for good refuses the message; one that is busy is tried again', {
  tags: 'heavy',
}, async () => {
  const refusing = (code: number) => ({
    onRcptTo: (_: unknown, __: unknown, done: (error?: Error | null) => void) =>
      done(Object.assign(new Error('no such user'), { responseCode: code })),
  });
  const never = await mailServer(refusing(550));
  expect(await email(never.port).write([message])).toMatchObject([
    { code: 'NOTIFICATION_REFUSED' },
  ]);
  const later = await mailServer(refusing(451));
  await expect(email(later.port).write([message])).rejects.toBeInstanceOf(RetriableError);
  await expect(email(9).write([message])).rejects.toBeInstanceOf(RetriableError);
});

test('where TLS is asked for, nothing is sent without; a certificate of nobody is refused', {
  tags: 'heavy',
}, async () => {
  const plain = await mailServer({ hideSTARTTLS: true });
  await expect(email(plain.port, { tls: 'starttls' }).write([message])).rejects.toThrow();
  // smtp-server's own certificate is signed by nobody we know.
  const stranger = await mailServer();
  await expect(email(stranger.port, { tls: 'starttls' }).write([message])).rejects.toBeInstanceOf(
    FatalError,
  );
  expect([...plain.mails, ...stranger.mails]).toEqual([]);
});
