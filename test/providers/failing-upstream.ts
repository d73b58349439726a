import { expect } from 'bun:test'
import type { ServerConfig } from '../../src/config/config.ts'
import { openaiCompatibleServer } from '../../src/providers/inference/generic.ts'
import {
  errorReply,
  mockUpstream,
  providerEntry,
  recordedLog,
  testConfig,
  testServer,
  type MockOptions,
  type MockRequest,
  type MockUpstream,
  type RecordedLine,
  type Script,
  type TestServer,
} from '../../src/testing/index.ts'

export const key = 'sk-the-operators-own-key-0123456789'
/** Seconds. Long: a busy machine must not look like a silent upstream. */
const patient = 30
/** For upstreams that fall silent once their head is there: that must be waited out. */
export const impatient = { connect: 10, first_byte: 10, idle: 0.2 }
/** For upstreams that never say a word. */
export const impatientFromStart = { connect: 10, first_byte: 0.2, idle: 10 }

interface FailingUpstream extends AsyncDisposable {
  upstream: MockUpstream
  server: TestServer
  lines: readonly RecordedLine[]
  ask(body?: object, init?: RequestInit): Promise<Response>
}

export async function startFailingUpstream(
  script: Script | undefined,
  options: MockOptions & { baseUrl?: string; timeout?: object | number; server?: Partial<ServerConfig> } = {},
): Promise<FailingUpstream> {
  const upstream = await mockUpstream(options)
  upstream.respond(({ method }) => (method === 'GET' ? errorReply(404) : script))
  const config = { base_url: options.baseUrl ?? `${upstream.url}/v1`, api_key: key, network: { timeout: options.timeout ?? patient } }
  const log = recordedLog()
  const server = await testServer(
    testConfig({ providers: [providerEntry(openaiCompatibleServer, 'mock', config)], server: options.server ?? {} }),
    { log, times: { firstListingTimeout: 30_000 } },
  )
  return {
    upstream,
    server,
    lines: log.lines,
    ask: (body = {}, init = {}) =>
      server.fetch('/v1/chat/completions', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'mock/m', messages: [{ role: 'user', content: 'Hi' }], ...body }),
        ...init,
      }),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await upstream[Symbol.asyncDispose]()
    },
  }
}

export interface Failure {
  error: { message: string; type: string; code: string | null; provider?: { status: number; body: unknown } }
}

/** The events of a stream's text, `[DONE]` included. */
export function events(text: string): string[] {
  return text
    .split('\n\n')
    .filter((part) => part.startsWith('data: '))
    .map((part) => part.slice(6))
}

/** What the deltas of a stream's text say together. */
export function contentOf(text: string): string {
  return events(text)
    .filter((data) => data !== '[DONE]')
    .flatMap((data) => (JSON.parse(data) as { choices: { delta: { content?: string } }[] }).choices.map(({ delta }) => delta.content ?? ''))
    .join('')
}

/** Nothing runs on: not here, not at the upstream; and the log has one line for the request, with the cause. */
export async function expectQuietEnd({ upstream, server, lines }: FailingUpstream, cause?: RegExp): Promise<void> {
  await upstream.quiet()
  while (server.app.activeRequests > 0) await new Promise((resolve) => setTimeout(resolve, 1))
  const written = lines.filter(({ fields }) => fields.route === '/v1/chat/completions')
  expect(written).toHaveLength(1)
  if (cause) expect(String(written[0]?.fields.cause)).toMatch(cause)
  else expect(written[0]?.fields).not.toHaveProperty('cause')
  expect(JSON.stringify(lines)).not.toContain(key)
}

/** Listings come in between. */
export async function firstPost(upstream: MockUpstream): Promise<MockRequest> {
  for (let count = 1; ; count += 1) {
    const request = await upstream.received(count)
    if (request.method === 'POST') return request
  }
}
