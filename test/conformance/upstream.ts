import { fetchFrom } from '../../src/app.ts'
import { validateReply } from '../contract/published.ts'
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

/** The last message decides what the upstream does: `status 401`, `stall`, `tools`, `person`, `fail in the middle`; else it says hello. */
function respond(request: MockRequest): Script | undefined {
  const { path, json } = request
  if (path === '/v1/models') return modelsReply(['gpt-mock', 'openai/gpt-oss-120b', 'text-embedding-mock'])
  if (path === '/v1/embeddings') return embeddingsResponse(json)
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

/** Responds by the schema it was sent, in chunks when streamed. */
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

function embeddingsResponse(json: MockRequest['json']): Script {
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
  /** The ways to reach it: over sockets, and in process. Both check every response against OpenAI's published schema. */
  readonly transports: Readonly<Record<'sockets' | 'in process', typeof fetch>>
  /** The schema violations of the responses so far. */
  readonly violations: readonly string[]
}

export async function startConformance(): Promise<Conformance> {
  const upstream = await mockUpstream()
  upstream.respond(respond)
  const server = await testServer(testConfig({ providers: [upstreamProvider('mock', upstream.url, { key: 'operator' })] }))
  await upstream.received(1)
  while (server.services.models.awaited.length > 0) await new Promise((resolve) => setTimeout(resolve, 1))
  const violations: string[] = []
  const held = (send: (url: string, init?: RequestInit) => Promise<Response>) =>
    (async (url: string, init?: RequestInit) => {
      const response = await send(url, init)
      const schema = schemaOf(url, init, response)
      return schema ? holdTo(schema, response, violations) : response
    }) as typeof fetch
  return {
    upstream,
    server,
    transports: { sockets: held((url, init) => fetch(url, init)), 'in process': held(fetchFrom(server.app)) },
    violations,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await upstream[Symbol.asyncDispose]()
    },
  }
}

interface Published {
  whole: string
  chunk?: string
}

const published: Readonly<Record<string, Published>> = {
  '/chat/completions': { whole: 'CreateChatCompletionResponse', chunk: 'CreateChatCompletionStreamResponse' },
  '/completions': { whole: 'CreateCompletionResponse', chunk: 'CreateCompletionResponse' },
  '/embeddings': { whole: 'CreateEmbeddingResponse' },
  '/models': { whole: 'ListModelsResponse' },
}

function schemaOf(url: string, init: RequestInit | undefined, response: Response): Published | undefined {
  if (response.status !== 200) return { whole: 'ErrorResponse', chunk: 'ErrorResponse' }
  // OpenAI documents vectors as numbers alone; base64 is its SDKs' way.
  if (typeof init?.body === 'string' && init.body.includes('"encoding_format":"base64"')) return undefined
  const path = new URL(url).pathname.replace(/^(\/v1\/openai)?\/v1/, '')
  return path.startsWith('/models/') ? { whole: 'Model' } : published[path]
}

/** OpenAI documents one schema for whole text completions and their chunks, and forgets there that a chunk in the middle has no finish reason. */
function withReason(chunk: string): string {
  return chunk.replaceAll('"finish_reason":null', '"finish_reason":"stop"')
}

/** The same response, once it is checked; a stream is checked as it is read. */
async function holdTo({ whole, chunk = whole }: Published, response: Response, violations: string[]): Promise<Response> {
  const check = (schema: string, text: string): void => {
    const wrong = validateReply(schema, JSON.parse(text))
    violations.push(...wrong.map((what) => `${schema}: ${what} in ${text}`))
  }
  if (!response.headers.get('content-type')?.startsWith('text/event-stream')) {
    const text = await response.text()
    check(whole, text)
    return new Response(text, response)
  }
  const decoder = new TextDecoder()
  let held = ''
  const checked = new TransformStream<Uint8Array, Uint8Array>({
    transform(piece, controller) {
      held += decoder.decode(piece, { stream: true })
      const frames = held.split('\n\n')
      held = frames.pop() ?? ''
      for (const frame of frames) {
        const data = frame.startsWith('data: ') ? frame.slice(6) : '[DONE]'
        if (data !== '[DONE]') check(data.startsWith('{"error"') ? 'ErrorResponse' : chunk, chunk === whole ? withReason(data) : data)
      }
      controller.enqueue(piece)
    },
  })
  return new Response(response.body?.pipeThrough(checked), response)
}
