import { expect } from 'bun:test'
import type { ProviderEntry } from '../../src/config/config.ts'
import type { Principal } from '../../src/call.ts'
import type { QuotaStore } from '../../src/quota/counters.ts'
import { createGovernance } from '../../src/quota/create-governance.ts'
import type { Ledger, LedgerEntry } from '../../src/quota/ledger.ts'
import { systemClock } from '../../src/quota/limiter-clock.ts'
import { createLimiter } from '../../src/quota/limiter.ts'
import { createPrices, type ProviderPricing } from '../../src/quota/prices.ts'
import { quotaSchema, toQuotaConfig } from '../../src/quota/schema.ts'
import { createMemoryStore } from '../../src/quota/stores/memory.ts'
import {
  type ConfigParts,
  mockUpstream,
  modelsReply,
  type MockUpstream,
  testConfig,
  testServer,
  type TestServer,
  upstreamProvider,
} from '../../src/testing/index.ts'
import { createEvents } from '../../src/telemetry/events.ts'
import { silentLog } from '../../src/telemetry/logger.ts'
import type { BuildOptions } from '../../src/services.ts'
import { known } from '../pipeline/servers.ts'

/** A Sunday at noon. */
export const noon = Date.UTC(2026, 10, 22, 12)

export interface GovernedOptions {
  /** `server.quota`, as a file has it. */
  quota: object
  /** By bearer token; absent: no authentication. */
  callers?: Readonly<Record<string, Omit<Principal, 'id'>>>
  /** Ids of the providers; all over one upstream. Default `up`. */
  providers?: readonly string[]
  pricing?: ProviderPricing
  /** How a provider is made, given the upstream's root. Default: one that speaks OpenAI's format. */
  provider?: (id: string, url: string) => ProviderEntry
  server?: ConfigParts['server']
  /** Further parts of the configuration. */
  config?: ConfigParts
  store?: QuotaStore
  build?: BuildOptions
  /** Takes the ledger's lines in place of a list. */
  ledger?: Ledger
}

/** A server with limits, whose clock only advances when set. */
export interface Governed extends AsyncDisposable {
  readonly server: TestServer
  readonly upstream: MockUpstream
  readonly lines: LedgerEntry[]
  /** Unix milliseconds. */
  now: number
  ask(path: string, init?: RequestInit & { as?: string }): Promise<Response>
  /** Posts a chat; `hello` in 30 tokens where the fields do not say otherwise. */
  chat(fields?: object, init?: RequestInit & { as?: string }): Promise<Response>
}

export async function governed(options: GovernedOptions): Promise<Governed> {
  const { quota, callers, providers = ['up'], pricing, server: serverOptions, provider = openaiProvider } = options
  const upstream = await modelUpstream()
  const config = toQuotaConfig(quotaSchema.parse(quota))
  const time = { now: noon }
  const lines: LedgerEntry[] = []
  const now = () => time.now
  const governance = createGovernance({
    config,
    limiter: createLimiter({
      store: options.store ?? createMemoryStore({ now }),
      failure: config.onStoreFailure ?? 'closed',
      clock: { ...systemClock, now },
      times: { timeout: 500, maxWait: 100 },
    }),
    prices: createPrices({ overrides: config.prices ?? [], providers: new Map(providers.map((id) => [id, pricing])), now }),
    ledger: options.ledger ?? listOf(lines),
    now,
  })
  const server = await testServer(
    testConfig({
      providers: providers.map((id) => provider(id, upstream.url)),
      server: serverOptions ?? {},
      ...options.config,
    }),
    { governance, ...(callers && { authentication: known(callers) }), ...options.build },
  )
  const ask: Governed['ask'] = (path, { as, ...init } = {}) => {
    const headers = { ...(as !== undefined && { authorization: `Bearer ${as}` }), ...(init.headers as Record<string, string>) }
    return server.fetch(path, { ...init, headers })
  }
  return {
    server,
    upstream,
    lines,
    get now() {
      return time.now
    },
    set now(value) {
      time.now = value
    },
    ask,
    chat(fields = {}, { as, ...init } = {}) {
      const body = JSON.stringify({ model: 'up/m', messages: [{ role: 'user', content: 'hello' }], max_tokens: 9, ...fields })
      return ask('/v1/chat/completions', {
        method: 'POST',
        body,
        ...init,
        ...(as !== undefined && { as }),
        headers: { 'content-type': 'application/json', ...(init.headers as Record<string, string>) },
      })
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await governance[Symbol.asyncDispose]()
      await upstream[Symbol.asyncDispose]()
    },
  }
}

function openaiProvider(id: string, url: string): ProviderEntry {
  return upstreamProvider(id, url, { key: 'sk-operator' })
}

/** The input tokens that `chat` reserves for `hello`: its bytes, and what goes around one message. */
export const helloInput = 5 + 8 + 8

/** Lists no models itself, and responds to everything else as configured. */
async function modelUpstream(): Promise<MockUpstream> {
  const upstream = await mockUpstream()
  const respond = upstream.respond.bind(upstream)
  upstream.respond = (reply) => respond((request) => (request.method === 'GET' ? modelsReply([]) : reply(request)))
  return upstream
}

function listOf(lines: LedgerEntry[]): Ledger {
  return { record: (entry) => lines.push(entry), async flush() {}, async [Symbol.asyncDispose]() {} }
}

/** Usage as a provider says it. */
export const usage = (input: number, output: number, over: object = {}) => ({
  usage: { prompt_tokens: input, completion_tokens: output, total_tokens: input + output, ...over },
})

/** The x-ratelimit headers of a response, without the prefix. */
export function limitsOf({ headers }: Response): Record<string, string> {
  return Object.fromEntries([...headers].flatMap(([name, value]) => (name.startsWith('x-ratelimit-') ? [[name.slice(12), value]] : [])))
}

/** The error of a response. */
export async function errorOf(response: Response): Promise<{ message: string; type: string; code: string | null }> {
  return ((await response.json()) as { error: { message: string; type: string; code: string | null } }).error
}

export async function expectStatus(response: Response, status: number): Promise<void> {
  const text = await response.text()
  expect(`${response.status} ${response.status === status ? '' : text}`).toBe(`${status} `)
}

export const quietEvents = createEvents(silentLog)
