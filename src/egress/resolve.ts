import { lookup } from 'node:dns/promises'

/** The addresses of a host as texts, in the order in which to try them. Rejects with `code` as node:dns does. */
export type Resolve = (host: string) => Promise<readonly string[]>

/** As the machine itself resolves, its hosts file included. */
export const systemResolve: Resolve = async (host) => (await lookup(host, { all: true, order: 'verbatim' })).map(({ address }) => address)
