import { join } from 'node:path'
import { compileAccessPolicy } from '../../../src/access/access-policy.ts'
import type { AccessRule } from '../../../src/access/schema.ts'
import { defaultTelemetry } from '../../../src/telemetry/config.ts'
import type { SpanRecord } from '../../../src/telemetry/traces/span.ts'
import { openTraceStoreWriter } from '../../../src/telemetry/store/writer.ts'
import { testConfig, testServer, type TestServer } from '../../../src/testing/index.ts'
import { known } from '../../pipeline/servers.ts'
import { temporary } from './records.ts'

const reader = ['telemetry.read']

/** All but one may read telemetry; Alice and Anna are a team. */
const people = {
  alice: { attributes: { teams: ['a'], scopes: reader } },
  anna: { attributes: { teams: ['a'], scopes: reader } },
  bob: { attributes: { teams: ['b'], scopes: reader } },
  admin: { attributes: { roles: ['admin'], scopes: reader } },
  unscoped: { attributes: { teams: ['a'], scopes: ['other'] } },
}
export type Person = keyof typeof people

export interface ReceivedResponse {
  readonly status: number
  readonly body: unknown
}

export interface TraceServer extends AsyncDisposable {
  readonly server: TestServer
  readonly path: string
  ask(who: Person | undefined, path: string, body?: unknown): Promise<ReceivedResponse>
}

interface TraceServerOptions {
  readonly rules?: readonly AccessRule[]
  readonly records?: readonly SpanRecord[]
  /** False: no authentication. */
  readonly authenticated?: boolean
}

/** A server with a store in which `records` stand already. */
export async function traceServer({ rules = [], records, authenticated = true }: TraceServerOptions = {}): Promise<TraceServer> {
  const path = join(await temporary(), 'traces.db')
  const limits = { maxAge: 1e15, maxBytes: 1e9 }
  if (records) {
    const writer = await openTraceStoreWriter(path, limits)
    await writer.write(records)
    await writer.close()
  }
  const config = testConfig({
    ...(authenticated && { auth: { authenticators: [{ type: 'known' }] } as never }),
    accessPolicy: compileAccessPolicy([...rules]),
    telemetry: {
      ...defaultTelemetry,
      // Its own requests stay out, unless they fail.
      traces: { ...defaultTelemetry.traces, sampler: 'always_off', delay: 10 },
      store: { path, limits, slowAfter: 10_000 },
    },
  })
  const server = await testServer(config, authenticated ? { authentication: known(people) } : {})
  return {
    server,
    path,
    async ask(who, at, body) {
      const response = await server.fetch(at, {
        method: body === undefined ? 'GET' : 'POST',
        headers: { ...(who && { authorization: `Bearer ${who}` }), ...(body !== undefined && { 'content-type': 'application/json' }) },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      return { status: response.status, body: await response.json() }
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}
