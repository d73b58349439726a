import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compileAccessPolicy } from '../../src/access/access-policy.ts'
import type { AccessRule } from '../../src/access/schema.ts'
import { KeyHasher } from '../../src/auth/keys/hash.ts'
import { createKeyService, type KeyService } from '../../src/api/keys/service.ts'
import type { Call, Principal } from '../../src/call.ts'
import type { CreateApiKeyRequest } from '../../src/schemas/api-keys.ts'
import { Secret } from '../../src/secret.ts'
import type { PostgresBackend, SqliteBackend } from '../../src/storage/config.ts'
import type { Database } from '../../src/storage/database.ts'
import { openDatabase } from '../../src/storage/open.ts'
import { createEvents } from '../../src/telemetry/events.ts'
import { silentLog } from '../../src/telemetry/logger.ts'
import type { TestEngine } from '../../src/testing/engines.ts'
import {
  chatReply,
  mockUpstream,
  modelsReply,
  recordedLog,
  testConfig,
  testServer,
  type TestServer,
  upstreamProvider,
} from '../../src/testing/index.ts'

export const pepper = new Secret('the pepper of the tests')

/** Administrators may do everything; everybody may make keys for themselves, and see and end their own. */
const defaultRules: readonly AccessRule[] = [
  { permit: { actions: ['create', 'read', 'update', 'delete'] }, when: 'user with admin in roles' },
  { permit: { actions: ['create'], resource: 'api_key::*' } },
  { permit: { actions: ['read', 'update', 'delete'], resource: 'api_key::*' }, when: 'user is owner' },
  { permit: { actions: ['read'], resource: 'model::*' } },
]

/** A database, its keys as the command line has them, and as many servers on it as a test wants. */
export interface KeyBench extends AsyncDisposable {
  readonly home: string
  readonly backend: SqliteBackend | PostgresBackend
  readonly database: Database
  /** Makes a key as `corral keys create` does, and gives its token. */
  issue(wanted: Partial<CreateApiKeyRequest> & { name: string }): Promise<{ id: string; token: string }>
  readonly operator: KeyService
  readonly operatorCall: Call
  serve(options?: ServeOptions): Promise<KeyServer>
  /** What is written of all of it: every line of the log, every file of the audit log. */
  written(): string
  auditLines(): Record<string, unknown>[]
}

interface ServeOptions {
  readonly rules?: readonly AccessRule[]
  readonly authenticated?: boolean
  readonly pepper?: Secret
}

export interface KeyServer extends TestServer {
  readonly log: ReturnType<typeof recordedLog>
  /** One request, with a token if given; a body makes it a POST. */
  ask(path: string, options?: AskOptions): Promise<{ status: number; json: HttpResponse; headers: Headers }>
}

interface AskOptions {
  readonly token?: string | undefined
  readonly body?: unknown
  readonly method?: string
  readonly headers?: Record<string, string>
}

// Responses of many shapes are inspected.
// oxlint-disable-next-line typescript/no-explicit-any
export type HttpResponse = Record<string, any>

export async function keyBench(engine: TestEngine): Promise<KeyBench> {
  const parts = new AsyncDisposableStack()
  const home = mkdtempSync(join(tmpdir(), 'corral-keys-'))
  parts.defer(() => rmSync(home, { recursive: true, force: true }))
  const { backend } = parts.use(await engine.fresh())
  const database = parts.use(await openDatabase(backend))
  const principal: Principal = { id: 'os:tester', attributes: {} }
  const operatorCall: Call = { requestId: 'cli', signal: new AbortController().signal, principal, providerData: {} }
  const operator = createKeyService({
    database,
    policy: compileAccessPolicy([]),
    pepper,
    events: createEvents(silentLog),
    operator: principal,
  })
  const upstream = parts.use(await mockUpstream())
  upstream.respond(({ path }) => (path.endsWith('/models') ? modelsReply(['small', 'large']) : chatReply()))
  const logs: ReturnType<typeof recordedLog>[] = []
  const audit = join(home, 'audit')
  const auditText = () => readFiles(audit).join('')
  return {
    home,
    backend,
    database,
    operator,
    operatorCall,
    async issue(wanted) {
      const { key, token } = await operator.create(operatorCall, wanted)
      return { id: key.id, token: token.reveal() }
    },
    async serve({ rules = defaultRules, authenticated = true, pepper: ownPepper = pepper } = {}) {
      const log = recordedLog()
      logs.push(log)
      const config = testConfig({
        providers: [upstreamProvider('up', upstream.url, { key: 'sk-operator' })],
        ...(authenticated && { auth: { authenticators: [{ type: 'api_key' }] } }),
        accessPolicy: compileAccessPolicy([...rules]),
        storage: { backends: {}, records: backend, recordsConfigured: true },
        keyPepper: ownPepper,
        home,
        audit: { folder: audit },
      })
      const server = parts.use(await testServer(config, { log }))
      return {
        ...server,
        log,
        async ask(path, { token, body, method = body === undefined ? 'GET' : 'POST', headers } = {}) {
          const response = await server.fetch(path, {
            method,
            headers: {
              ...(token !== undefined && { authorization: `Bearer ${token}` }),
              ...(body !== undefined && { 'content-type': 'application/json' }),
              ...headers,
            },
            ...(body !== undefined && { body: JSON.stringify(body) }),
          })
          return { status: response.status, json: (await response.json()) as HttpResponse, headers: response.headers }
        },
      }
    },
    written: () => JSON.stringify(logs.flatMap(({ lines }) => lines.map(printed))) + auditText(),
    auditLines: () =>
      auditText()
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}

/** With the stacks and causes of errors. */
function printed(line: object): string {
  return JSON.stringify(line, (_name, value: unknown) => (value instanceof Error ? `${value.stack} ${String(value.cause)}` : value))
}

function readFiles(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.jsonl'))
      .map((name) => readFileSync(join(folder, name), 'utf8'))
  } catch {
    return []
  }
}

/** What must stand nowhere: the token, its secret, its hash. */
export function secretsOf(token: string): string[] {
  const [, , secret = ''] = token.split('_')
  return [token, secret, secret.slice(0, 32), new KeyHasher(pepper).digest(token).toString('hex')]
}

export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10))
}

export const chat = (model = 'up/small') => ({ model, messages: [{ role: 'user', content: 'hi' }] })
