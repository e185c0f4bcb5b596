/** What becomes of connections when the service stops. */
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Clock } from '../runtime/index.ts';

/** As long as a query that runs is waited for. */
const ANSWERED_WITHIN_MS = 10_000;

/**
 * A request under way gets its answer and is its connection's last; one that has neither come whole nor got its answer
 * in time is cut off. A connection that never said anything, as browsers open some in advance, is let go at once: Node
 * would wait a minute and more for its first request.
 */
export function closeConnections(
  app: FastifyInstance,
  { stopping, clock }: { readonly stopping: AbortController; readonly clock: Clock },
): void {
  const open = new Set<Socket>();
  app.server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  const closed = new AbortController();
  app.addHook('preClose', async () => {
    stopping.abort();
    for (const socket of open) if (socket.bytesRead === 0) socket.destroy();
    void clock.sleep(ANSWERED_WITHIN_MS, closed.signal).then(
      () => app.server.closeAllConnections(),
      () => {},
    );
  });
  app.addHook('onClose', async () => closed.abort());
  // Left open behind its last answer, it would hold up the stop until it is let go.
  app.addHook('onSend', async (_request, reply) => {
    if (stopping.signal.aborted) reply.header('connection', 'close');
  });
}
