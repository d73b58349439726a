import { z } from 'zod'
import { defineRoute } from '../../src/api/define.ts'
import { type Dialect, formatOf } from '../../src/dialects/dialect.ts'
import type { ApiError } from '../../src/errors.ts'
import { execute } from '../../src/inference/execute.ts'
import { toResponse } from '../../src/inference/response.ts'
import { chat } from '../../src/operations/chat.ts'
import type { Operation } from '../../src/operations/operation.ts'
import type { JsonObject, WireFormat } from '../../src/operations/wire-format.ts'
import type { Reply } from '../../src/providers/provider.ts'

// A dialect that no client speaks: what a real one costs is this file, and one line in `src/dialects/index.ts`.

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)
const parse = (bytes: Uint8Array): JsonObject => JSON.parse(new TextDecoder().decode(bytes)) as JsonObject
const sizeOf = (said: unknown): number => (typeof said === 'string' ? Buffer.byteLength(said) : 0)
const textsIn = (frames: string): string[] =>
  [...frames.matchAll(/^data: (\{"said".*)$/gm)].map(([, json = '']) => String(parse(encode(json))['said']))

/** `{"engine", "say", "limit", "live"}`; the reply is `{"said", "why"}`, or frames with parts of `said`. */
const toyChat: WireFormat = {
  name: 'toy.chat',
  upstreamPath: '/say',
  governedFields: ['engine', 'say', 'limit', 'live'],
  inputSize: (body) => ({ text: sizeOf((body as JsonObject)['say']), extra: 0, tokens: 0 }),
  outputLimit: ({ limit }) => ({ maxTokens: typeof limit === 'number' ? limit : 0, isOpen: typeof limit !== 'number', choices: 1 }),
  requestParameters: ({ limit, live }) => ({ maxTokens: limit as number, stream: live === true }),
  replyFacts: (bytes) => ({ finishReasons: [String(parse(bytes)['why'])] }),
  replyText: (bytes) => sizeOf(parse(bytes)['said']),
  frameText: (frame) => textsIn(frame).reduce((size, text) => size + sizeOf(text), 0),
  requestMessages: (body) => [{ role: 'user', parts: [{ type: 'text', content: String((body as JsonObject)['say']) }] }],
  replyMessages: (bytes) => [{ role: 'assistant', parts: [{ type: 'text', content: String(parse(bytes)['said']) }] }],
  frameMessages: (frames) => [{ role: 'assistant', parts: [{ type: 'text', content: textsIn(frames).join('') }] }],
}

function errorBody({ message, failure, retryable }: ApiError): object {
  return { failed: { reason: message, class: failure, again: retryable } }
}

export const toy: Dialect = {
  name: 'toy',
  paths: ['/toy/'],
  errorBody,
  errorSchema: z
    .object({ failed: z.object({ reason: z.string(), class: z.string(), again: z.boolean() }) })
    .meta({ id: 'ToyErrorResponse' }),
  errorHeaders: ({ failure }) => ({ 'x-toy-failure': failure }),
  errorEvent: (error) => encode(`event: failed\ndata: ${JSON.stringify(errorBody(error))}\n\n`),
  heartbeat: encode('event: alive\n\n'),
  formats: { chat: toyChat },
}

const toyRequest = z.looseObject({ engine: z.string(), say: z.string(), limit: z.int().optional(), live: z.boolean().optional() })

export const sayRoute = defineRoute({
  method: 'POST',
  path: '/toy/say',
  api: 'inference',
  operationId: 'toySay',
  tag: 'Toy',
  summary: 'Say something',
  operation: chat,
  body: toyRequest.meta({ id: 'ToyRequest' }),
  responses: { 200: { description: 'What was said.', json: z.object({ said: z.string(), why: z.string() }).meta({ id: 'ToyReply' }) } },
  handle({ body, bytes, members, call, dialect }, { inference, streams }) {
    const operation = chat as Operation<unknown, Reply>
    const request = { model: body.engine, body, bytes, members, format: formatOf(operation, dialect) }
    return toResponse(execute(operation, request, call, inference), call, { stream: body.live === true, times: streams, dialect })
  },
})
