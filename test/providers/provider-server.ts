import type { EgressConfig } from '../../src/egress/config.ts'
import { providerDefinitions } from '../../src/providers/index.ts'
import {
  chatReply,
  mockUpstream,
  modelsReply,
  providerEntry,
  testApp,
  testConfig,
  type MockRequest,
  type MockUpstream,
  type Script,
} from '../../src/testing/index.ts'
import { patient } from './remote-cases.ts'

/** The mock's response; undefined: a listing to a GET, a chat completion to all else. */
export type MockScript = (request: MockRequest) => Script | undefined

export interface ProviderServer extends AsyncDisposable {
  upstream: MockUpstream
  /** Requests other than listings. */
  requests(): readonly MockRequest[]
  get(path: string, headers?: Record<string, string>): Promise<Response>
  post(path: string, body: object, data?: object, signal?: AbortSignal): Promise<Response>
}

/** One provider, `p`, with the configuration that the mock's URL makes. Callers' URLs may lead to this machine, unless `egress` says otherwise. */
export async function startProvider(
  type: string,
  config: (url: string) => Record<string, unknown>,
  reply: MockScript = () => undefined,
  egress: EgressConfig = { allow: ['127.0.0.1'] },
): Promise<ProviderServer> {
  const definition = providerDefinitions.find((candidate) => candidate.type === type)
  if (!definition) throw new Error(`no ${type}`)
  const upstream = await mockUpstream()
  upstream.respond((request) => reply(request) ?? (request.method === 'GET' ? modelsReply(['listed']) : chatReply()))
  const app = await testApp(testConfig({ providers: [providerEntry(definition, 'p', config(upstream.url))], egress }), patient)
  return {
    upstream,
    requests: () => upstream.requests.filter(({ method }) => method === 'POST'),
    get: (path, headers) => app.fetch(path, { ...(headers && { headers }) }),
    post: (path, body, data, signal) =>
      app.fetch(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(data && { 'x-llamastack-provider-data': asciiJson(data) }) },
        body: JSON.stringify({ model: 'p/m', ...body }),
        ...(signal && { signal }),
      }),
    async [Symbol.asyncDispose]() {
      await app[Symbol.asyncDispose]()
      await upstream[Symbol.asyncDispose]()
    },
  }
}

/** JSON that a header can carry. */
function asciiJson(data: object): string {
  return JSON.stringify(data).replaceAll(/[^\u0020-\u007e]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

export const chat = { messages: [{ role: 'user', content: 'Hi' }] }
export const chatPath = '/v1/chat/completions'

/** The error of an error response. */
export async function errorOf(response: Response): Promise<{ message: string; param: string | null; code: string | null }> {
  return ((await response.json()) as { error: { message: string; param: string | null; code: string | null } }).error
}

/** The types of the models that are listed, once any are. */
export async function listedTypes(stage: ProviderServer): Promise<Record<string, string>> {
  for (;;) {
    const { data } = (await (await stage.get('/v1/models')).json()) as { data: { id: string; model_type: string }[] }
    if (data.length > 0) return Object.fromEntries(data.map(({ id, model_type }) => [id, model_type]))
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
