import { fetchFrom } from '../../src/app.ts'
import {
  chatChunk,
  chatReply,
  chatStream,
  completionReply,
  completionStream,
  done,
  embeddingsReply,
  errorReply,
  jsonReply,
  mockUpstream,
  modelsReply,
  stallBeforeHead,
  testServer,
  testConfig,
  toolReply,
  toolStream,
  upstreamProvider,
  type MockRequest,
  type MockUpstream,
  type Script,
  type TestServer,
} from '../../src/testing/index.ts'

export const person = { name: 'Ada', age: 36 }
export const vector = [0.25, -0.5, 0.125]

/** What the upstream does is told by the last message: `status 401`, `stall`, `tools`, `person`, `fail in the middle`; else it says hello. */
function answer(request: MockRequest): Script | undefined {
  const { path, json } = request
  if (path === '/v1/models') return modelsReply(['gpt-mock', 'openai/gpt-oss-120b', 'text-embedding-mock'])
  if (path === '/v1/embeddings') return embeddingsAnswer(json)
  const said = lastText(json)
  const status = /^status (\d+)$/.exec(said)?.[1]
  if (status) return errorReply(Number(status))
  if (said === 'stall') return stallBeforeHead
  if (path === '/v1/completions') return json?.stream ? completionStream() : completionReply()
  if (path !== '/v1/chat/completions') return undefined
  if (said === 'fail in the middle') return { body: [chatChunk({ role: 'assistant', content: 'Hel' })], end: 'cut' }
  if (said === 'person') return structured(json)
  if (json?.tools) return json.stream ? toolStream() : toolReply()
  if (said === 'too long') return chatReply('{"na', { choices: [choice('{"na', 'length')] })
  if (said === 'filtered') return chatReply('', { choices: [choice('', 'content_filter')] })
  return json?.stream ? chatStream() : chatReply()
}

function choice(content: string, finishReason: string): object {
  return { index: 0, message: { role: 'assistant', content, refusal: null }, logprobs: null, finish_reason: finishReason }
}

function lastText(json: MockRequest['json']): string {
  if (typeof json?.prompt === 'string') return json.prompt
  const messages = (json?.messages ?? []) as { content?: unknown }[]
  const content = messages.at(-1)?.content
  return typeof content === 'string' ? content : ''
}

/** Answers by the schema it was sent, in pieces when streamed. */
function structured(json: MockRequest['json']): Script {
  const format = json?.response_format as { type?: string } | undefined
  if (format?.type !== 'json_schema') return errorReply(400)
  const text = JSON.stringify(person)
  if (!json?.stream) return chatReply(text)
  const pieces = [text.slice(0, 7), text.slice(7)]
  return {
    body: [chatChunk({ role: 'assistant', content: '' }), ...pieces.map((content) => chatChunk({ content })), chatChunk({}, 'stop'), done],
  }
}

function embeddingsAnswer(json: MockRequest['json']): Script {
  if (json?.encoding_format !== 'base64') return embeddingsReply([vector])
  const embedding = Buffer.from(new Float32Array(vector).buffer).toString('base64')
  return jsonReply({
    object: 'list',
    data: [{ object: 'embedding', index: 0, embedding }],
    model: 'text-embedding-mock',
    usage: { prompt_tokens: 4, total_tokens: 4 },
  })
}

/** A server with one provider, `mock`, whose models are listed. */
export interface Conformance extends AsyncDisposable {
  readonly upstream: MockUpstream
  readonly server: TestServer
  /** The ways to reach it: over sockets, and in process. */
  readonly transports: Readonly<Record<'sockets' | 'in process', typeof fetch | undefined>>
}

export async function startConformance(): Promise<Conformance> {
  const upstream = await mockUpstream()
  upstream.respond(answer)
  const server = await testServer(testConfig({ providers: [upstreamProvider('mock', upstream.url, { key: 'operator' })] }))
  await upstream.received(1)
  while (server.services.models.awaited.length > 0) await new Promise((resolve) => setTimeout(resolve, 1))
  const inProcess = fetchFrom(server.app) as typeof fetch
  return {
    upstream,
    server,
    transports: { sockets: undefined, 'in process': inProcess },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await upstream[Symbol.asyncDispose]()
    },
  }
}
