import {
  type ConfigParts,
  mockUpstream,
  modelsReply,
  type MockUpstream,
  type Script,
  testConfig,
  testServer,
  type TestServer,
  upstreamProvider,
} from '../../../src/testing/index.ts'
import type { BuildOptions } from '../../../src/services.ts'
import { type ParsedFamily, parseText } from './parse-text.ts'

/** A server with one provider, `up`, which lists `small` and `large`. */
interface Measured extends AsyncDisposable {
  readonly server: TestServer
  readonly upstream: MockUpstream
  post(path: string, body: object): Promise<Response>
  read(): Promise<Map<string, ParsedFamily>>
}

export async function measured(response: () => Script, parts: ConfigParts = {}, options: BuildOptions = {}): Promise<Measured> {
  const upstream = await mockUpstream()
  upstream.respond(({ path }) => (path.endsWith('/models') ? modelsReply(['small', 'large']) : response()))
  const server = await testServer(testConfig({ providers: [upstreamProvider('up', upstream.url, { key: 'k' })], ...parts }), options)
  return {
    server,
    upstream,
    post: (path, body) =>
      server.fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    async read() {
      return parseText(await (await server.fetch('/metrics')).text())
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await upstream[Symbol.asyncDispose]()
    },
  }
}

export const hello = { messages: [{ role: 'user', content: 'hello' }] }

/** Reads until `holds`; what is read together is shared for a moment. */
export async function readUntil(it: Measured, holds: (families: Map<string, ParsedFamily>) => boolean): Promise<Map<string, ParsedFamily>> {
  for (;;) {
    const families = await it.read()
    if (holds(families)) return families
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
