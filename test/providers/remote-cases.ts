import { afterAll, beforeAll } from 'bun:test'
import { inferenceDefinitions } from './inference-definitions.ts'
import type { InferenceDefinition, ProviderDefinition } from '../../src/providers/provider.ts'
import { createEgress } from '../../src/egress/egress.ts'
import { silentLog } from '../../src/telemetry/logger.ts'
import {
  chatReply,
  embeddingsReply,
  jsonReply,
  mockUpstream,
  modelsReply,
  providerEntry,
  testApp,
  testConfig,
  type MockRequest,
  type MockUpstream,
  type Script,
  type TestApp,
} from '../../src/testing/index.ts'

/** What the fold must know of a provider beside its definition: how it is set up against a mock, and how it carries its key. */
interface CaseOptions {
  /** The path of its root; default: that of the starter entry's URL. */
  path?: string
  config?(upstream: MockUpstream): Record<string, unknown>
  keyField?: 'api_token'
  /** The headers with which a key arrives. Default `authorization: Bearer …`. */
  carried?: (key: string) => Record<string, string>
  /** Responses to its requests other than the relayed one. */
  side?(request: MockRequest, upstream: MockUpstream): Script | undefined
  /** Where its requests arrive, when not below its root. */
  arrivesAt?: string
}

const caseOptions: Readonly<Record<string, CaseOptions>> = {
  'remote::azure': { path: '/openai/v1', carried: (key) => ({ 'api-key': key }) },
  'remote::bedrock': { path: '/openai/v1' },
  'remote::databricks': { path: '/serving-endpoints', keyField: 'api_token' },
  'remote::runpod': { path: '/v1', keyField: 'api_token' },
  'remote::vllm': { keyField: 'api_token' },
  'remote::passthrough': { path: '/v1' },
  'remote::tgi': { path: '/v1' },

  'remote::openai-compatible': { path: '/some/root' },
  'remote::hf::serverless': { path: '/v1', keyField: 'api_token' },
  'remote::hf::endpoint': {
    path: '/v2',
    keyField: 'api_token',
    config: () => ({ endpoint_name: 'someone/mock' }),
    side: ({ path }, { url }) =>
      path === '/v2/endpoint/someone/mock'
        ? jsonReply({ model: { repository: 'mock/model' }, status: { state: 'running', url } })
        : undefined,
    arrivesAt: '/v1',
  },
  'remote::watsonx': {
    path: '/ml/v1',
    config: ({ url }) => ({ iam_url: `${url}/identity/token`, project_id: 'project-1' }),
    carried: (key) => ({ authorization: `Bearer iam:${key}` }),
    side: ({ path, text }) =>
      path === '/identity/token'
        ? jsonReply({ access_token: `iam:${new URLSearchParams(text).get('apikey')}`, expiration: Math.floor(Date.now() / 1000) + 3600 })
        : undefined,
  },
}

/** One remote provider, ready to be set up against a mock of its own. */
interface RemoteCase {
  type: string
  id: string
  definition: ProviderDefinition
  /** The field of the caller's provider data that carries its key. */
  header: string
  keyField: 'api_key' | 'api_token'
  keyRequired: boolean
  path: string
  arrivesAt: string
  can: ReadonlySet<string>
  carried: (key: string) => Record<string, string>
  config(upstream: MockUpstream, over?: Record<string, unknown>): Record<string, unknown>
  side(request: MockRequest, upstream: MockUpstream): Script | undefined
}

function toCase(definition: InferenceDefinition): RemoteCase {
  const { type, starter } = definition
  const special = caseOptions[type] ?? {}
  const starterUrl = /:=(http.*)}$/.exec(typeof starter?.config.base_url === 'string' ? starter.config.base_url : '')?.[1]
  const pathname = new URL(starterUrl ?? 'http://nowhere').pathname
  const path = special.path ?? pathname.replace(/\/$/, '')
  const [header = ''] = Object.keys((definition.credentials as unknown as { shape: object }).shape)
  const keyField = special.keyField ?? 'api_key'
  const config: RemoteCase['config'] = (upstream, over = {}) => ({ base_url: upstream.url + path, ...special.config?.(upstream), ...over })
  const probe = definition.create(definition.config.parse(config({ url: 'http://127.0.0.1:9' } as MockUpstream)), {
    id: 'probe',
    egress: createEgress(),
    log: silentLog,
  })
  const can = new Set(Object.keys(probe.invoke))
  return {
    type,
    id: starter?.id ?? type.replaceAll(/^remote::|::/g, ''),
    definition,
    header,
    keyField,
    keyRequired: !probe.hasOwnKey && type !== 'remote::nvidia',
    path,
    arrivesAt: special.arrivesAt ?? path,
    can,
    carried: special.carried ?? ((key) => ({ authorization: `Bearer ${key}` })),
    config,
    side: (request, upstream) => special.side?.(request, upstream) ?? listing(request),
  }
}

/** Every vendor's way to list, with the same model in it. */
function listing({ method, path }: MockRequest): Script | undefined {
  if (method !== 'GET') return undefined
  if (path.includes('/foundation_model_specs'))
    return jsonReply({ resources: [{ model_id: 'listed-model', functions: [{ id: 'text_chat' }] }] })
  if (path === '/info') return jsonReply({ model_id: 'listed-model', model_type: { embedding: { pooling: 'cls' } } })
  if (path.endsWith('/api/2.0/serving-endpoints')) return jsonReply({ endpoints: [{ name: 'listed-model', task: 'llm/v1/chat' }] })
  return modelsReply(['listed-model'])
}

export const remoteCases: readonly RemoteCase[] = inferenceDefinitions
  .filter(({ type }) => type.startsWith('remote::'))
  .map((definition) => toCase(definition))

/** Milliseconds: a busy machine must not turn a first listing into a 503. */
export const patient = { times: { firstListingTimeout: 30_000 } }

export const operatorKey = 'operator-key-123456'
export const callerKey = 'caller-key-654321'

/** A provider behind the whole server, and the mock that it reaches. */
export interface Stage extends AsyncDisposable {
  readonly upstream: MockUpstream
  readonly app: TestApp
  /** The response to the next requests of callers. */
  reply: Script | ((request: MockRequest) => Script)
  /** Requests that callers caused: no listings, no tokens. */
  readonly requests: readonly MockRequest[]
  post(path: string, body: object, headers?: Record<string, string>): Promise<Response>
}

export async function stageFor(remoteCase: RemoteCase, config: Record<string, unknown>, upstream?: MockUpstream): Promise<Stage> {
  const mock = upstream ?? (await mockUpstream())
  const app = await testApp(
    testConfig({ providers: [providerEntry(remoteCase.definition, remoteCase.id, remoteCase.config(mock, config))] }),
    patient,
  )
  const stage: Stage = {
    upstream: mock,
    app,
    reply: jsonReply({}),
    get requests() {
      return mock.requests.filter(({ method, path }) => method === 'POST' && path !== '/identity/token')
    },
    post: (path, body, headers = {}) =>
      app.fetch(path, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) }),
    async [Symbol.asyncDispose]() {
      await app[Symbol.asyncDispose]()
      await mock[Symbol.asyncDispose]()
    },
  }
  mock.respond((request) => remoteCase.side(request, mock) ?? (typeof stage.reply === 'function' ? stage.reply(request) : stage.reply))
  return stage
}

/** A stage for a whole `describe`, built before its tests and taken down after them. */
export function sharedStage(build: () => Promise<Stage>): () => Stage {
  let stage: Stage | undefined
  beforeAll(async () => {
    stage = await build()
  })
  afterAll(async () => {
    await stage?.[Symbol.asyncDispose]()
  })
  return () => {
    if (!stage) throw new Error('The stage is not built yet.')
    return stage
  }
}

/** The requests of OpenAI's API that go to a provider, each with the capability that it needs. */
export const operations = {
  chat: { capability: 'chat', path: '/v1/chat/completions', body: { messages: [{ role: 'user', content: 'Hi' }] } },
  'streamed chat': {
    capability: 'chat',
    path: '/v1/chat/completions',
    body: { messages: [{ role: 'user', content: 'Hi' }], stream: true },
  },
  completions: { capability: 'completions', path: '/v1/completions', body: { prompt: 'Hi' } },
  embeddings: { capability: 'embeddings', path: '/v1/embeddings', body: { input: 'Hi' } },
} as const

/** The request that every provider is tried with: a chat, or embeddings where it serves no chats. */
export function mainOperation({ can }: RemoteCase): MainOperation {
  const { path, body } = can.has('chat') ? operations.chat : operations.embeddings
  return can.has('chat')
    ? { path, body, arrivesAt: '/chat/completions', reply: () => chatReply('A reply.') }
    : { path, body, arrivesAt: '/embeddings', reply: () => embeddingsReply() }
}

interface MainOperation {
  readonly path: string
  readonly body: Readonly<Record<string, unknown>>
  /** Below the root of the provider. */
  readonly arrivesAt: string
  readonly reply: () => Script
}
