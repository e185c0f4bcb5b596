/** Which node of a cluster the client asks first. */
import type cassandra from 'cassandra-driver';
import { expect, it } from 'vitest';
import { systemClock } from '../../runtime/index.ts';
import { createClient, nodesByToken } from './client.ts';

const node = (address: string) => ({
  address,
  datacenter: 'dc1',
  isUp: () => true,
  isUpSince: 0,
  getInFlight: () => 0,
  getResponseCount: () => 0,
});
type Node = ReturnType<typeof node>;

/** The nodes in the order in which a request for a key would try them. */
function planOf(nodes: readonly Node[], getReplicas: () => readonly Node[]): string[] {
  const policy = nodesByToken();
  const hosts = { length: nodes.length, values: () => nodes, on: () => {} };
  const cluster = {
    options: { localDataCenter: 'dc1' },
    log: () => {},
    getReplicas,
  };
  policy.init(cluster as never, hosts as unknown as cassandra.HostMap, () => {});
  const request = {
    getRoutingKey: () => Buffer.from('a key'),
    // As of a prepared statement.
    getKeyspace: () => 'points',
    getPreferredHost: () => undefined,
  };
  let plan: string[] = [];
  policy.newQueryPlan('points', request as never, (_, asked) => {
    plan = [...(asked as IterableIterator<cassandra.Host>)].map(({ address }) => address);
  });
  return plan;
}

it('of several nodes the one that has the key is asked first, then the others', () => {
  const nodes = ['a', 'b', 'c'].map(node);
  for (const replica of nodes) {
    const plan = planOf(nodes, () => [replica]);
    expect(plan[0]).toBe(replica.address);
    expect([...plan].sort()).toEqual(['a', 'b', 'c']);
  }
});

it('with one node nobody works out who has the key', () => {
  const never = () => {
    throw new Error('asked for the replicas of a key');
  };
  expect(planOf([node('a')], never)).toEqual(['a']);
});

it('a prepared statement is found by its text, which the driver need not copy and hash each time', () => {
  const config = { hosts: ['127.0.0.1'], datacenter: 'dc1', keyspace: 'points' };
  const { metadata } = createClient(config, systemClock, config.keyspace) as unknown as {
    metadata: {
      getPreparedInfo(keyspace: string, query: string): object;
      _preparedQueries: { _mapByKey: Map<string, object> };
    };
  };
  const found = metadata.getPreparedInfo('points', 'SELECT 1');
  expect(metadata.getPreparedInfo('points', 'SELECT 1')).toBe(found);
  // Private to the driver: where a release keeps them elsewhere, this says so.
  expect([...metadata._preparedQueries._mapByKey.keys()]).toEqual(['SELECT 1']);
});
