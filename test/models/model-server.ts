import { compileAccessPolicy } from '../../src/access/access-policy.ts'
import type { AccessPolicy } from '../../src/access/policy.ts'
import type { AccessRule } from '../../src/access/schema.ts'
import type { Principal } from '../../src/call.ts'
import type { PostgresBackend, SqliteBackend } from '../../src/storage/config.ts'
import {
  chatReply,
  mockUpstream,
  modelsReply,
  recordedLog,
  testApp,
  testConfig,
  upstreamProvider,
  type ConfigParts,
  type MockUpstream,
  type TestApp,
} from '../../src/testing/index.ts'
import { known } from '../pipeline/servers.ts'

/** What the providers `groq` and `openai` list. */
const listed = { groq: ['llama', 'groq/compound', 'shared'], openai: ['gpt', 'shared'] }

export const people: Readonly<Record<string, Omit<Principal, 'id'>>> = {
  alice: { attributes: { teams: ['a'] } },
  mate: { attributes: { teams: ['a'] } },
  bob: { attributes: { teams: ['b'] } },
  both: { attributes: { teams: ['a', 'b'] } },
  keyed: { attributes: { teams: ['a'] }, key: { id: 'key_1', limits: [], allowedModels: ['groq/*', 'mine-*'] } },
}

interface ServerResponse {
  readonly status: number
  // oxlint-disable-next-line typescript/no-explicit-any -- responses of many shapes are inspected
  readonly json: any
  readonly headers: Headers
}

export interface ModelServer extends TestApp {
  readonly log: ReturnType<typeof recordedLog>
  /** One request, with or without a user; a body makes it a POST. */
  ask(who: string | undefined, path: string, options?: { body?: unknown; method?: string }): Promise<ServerResponse>
  register(who: string | undefined, body: object): Promise<ServerResponse>
  chat(who: string | undefined, model: string): Promise<ServerResponse>
  ids(who: string | undefined): Promise<string[]>
  /** Who refused it and why, of the last request that was refused. */
  lastDenial(): { by: unknown; because: unknown }
}

interface ModelServerOptions {
  readonly rules?: readonly AccessRule[]
  /** In the place of `rules`. */
  readonly policy?: AccessPolicy
  readonly backend?: SqliteBackend | PostgresBackend
  readonly authenticated?: boolean
  readonly parts?: ConfigParts
  /** The file is the default one: the server continues without it. */
  readonly unasked?: boolean
}

export async function upstreamOfModels(): Promise<MockUpstream> {
  const upstream = await mockUpstream()
  upstream.respond(({ path, headers }) =>
    path.endsWith('/models') ? modelsReply(headers['authorization'] === 'Bearer groq-key' ? listed.groq : listed.openai) : chatReply(),
  )
  return upstream
}

export async function modelServer(upstream: MockUpstream, options: ModelServerOptions = {}): Promise<ModelServer> {
  const { rules = [], backend = { engine: 'sqlite', path: ':memory:' }, authenticated = true, parts = {} } = options
  const log = recordedLog()
  const config = testConfig({
    providers: [
      upstreamProvider('groq', upstream.url, { key: 'groq-key' }),
      upstreamProvider('openai', upstream.url, { key: 'openai-key' }),
    ],
    accessPolicy: options.policy ?? compileAccessPolicy([...rules]),
    storage: { backends: {}, records: backend, recordsConfigured: options.unasked !== true },
    ...parts,
  })
  const app = await testApp(config, { log, ...(authenticated && { authentication: known(people) }) })
  while (app.services.models.awaited.length > 0) await new Promise((resolve) => setTimeout(resolve, 2))
  const ask: ModelServer['ask'] = async (who, path, { body, method = body === undefined ? 'GET' : 'POST' } = {}) => {
    const response = await app.fetch(path, {
      method,
      headers: {
        ...(who !== undefined && { authorization: `Bearer ${who}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    return { status: response.status, json: await response.json(), headers: response.headers }
  }
  return {
    ...app,
    log,
    ask,
    register: (who, body) => ask(who, '/v1/models', { body }),
    chat: (who, model) => ask(who, '/v1/chat/completions', { body: { model, messages: [{ role: 'user', content: 'Hi' }] } }),
    async ids(who) {
      const { json } = await ask(who, '/v1/models')
      return (json as { data: { id: string }[] }).data.map(({ id }) => id)
    },
    lastDenial() {
      const line = log.lines.findLast(({ fields }) => fields['denied_by'] !== undefined)
      return { by: line?.fields['denied_by'], because: line?.fields['denied_reason'] }
    },
  }
}

export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5))
}
