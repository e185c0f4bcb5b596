/** Which node of a cluster the client asks first. */
import type cassandra from 'cassandra-driver';
import { expect, it } from 'vitest';
import { nodesByToken } from './client.ts';

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
    getKeyspace: () => undefined,
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
