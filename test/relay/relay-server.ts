import type { OpenAICompatibleOptions } from '../../src/providers/inference/openai-compatible.ts'
import { mockUpstream, modelsReply, recordedLog, testConfig, testServer, upstreamProvider } from '../../src/testing/index.ts'
import type { MockUpstream, RecordedLine, Script, TestServer } from '../../src/testing/index.ts'
import type { ServerConfig } from '../../src/config/config.ts'

export type ProviderOptions = Partial<OpenAICompatibleOptions> & { key?: string }

/** A whole server on a port in front of a scripted upstream, which it knows as the provider `up` with the model `m`. */
export interface RelayServer extends AsyncDisposable {
  readonly server: TestServer
  readonly upstream: MockUpstream
  readonly lines: readonly RecordedLine[]
  post(path: string, body: unknown, init?: RequestInit): Promise<Response>
}

export const key = 'sk-operator-0123456789'
export const chatBody = { model: 'up/m', messages: [{ role: 'user', content: 'Hello?' }] }

export async function startRelay(
  replies: readonly Script[] = [],
  options: ProviderOptions = {},
  server: Partial<ServerConfig> = {},
): Promise<RelayServer> {
  const upstream = await mockUpstream()
  const queue = [...replies]
  upstream.respond(({ path }) => (isListing(path) ? modelsReply(['m']) : queue.shift()))
  const log = recordedLog()
  const running = await testServer(testConfig({ providers: [upstreamProvider('up', upstream.url, { key, ...options })], server }), { log })
  return {
    server: running,
    upstream,
    lines: log.lines,
    post: (path, body, init) =>
      fetch(running.url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: typeof body === 'string' ? body : JSON.stringify(body),
        ...init,
      }),
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]()
      await upstream[Symbol.asyncDispose]()
    },
  }
}

/** The requests that were no listing. */
export function upstreamRequests({ upstream }: RelayServer): MockUpstream['requests'] {
  return upstream.requests.filter(({ path }) => !isListing(path))
}

/** The data of each event, in order; comments left out. */
export function dataOf(text: string): string[] {
  return text
    .split('\n\n')
    .filter((frame) => frame.startsWith('data: '))
    .map((frame) => frame.slice('data: '.length))
}

function isListing(path: string): boolean {
  return path.split('?')[0]!.endsWith('/models')
}
