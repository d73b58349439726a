import { z } from 'zod'
import { defineRoute } from '../../src/api/define.ts'
import { execute } from '../../src/inference/execute.ts'
import { toResponse } from '../../src/inference/response.ts'
import type { Operation } from '../../src/operations/operation.ts'
import type { JsonReply } from '../../src/operations/reply.ts'
import type { JsonObject, WireFormat } from '../../src/operations/wire-format.ts'

/** An operation that Corral does not have, in one file: its entry in the list of routes is all that it takes besides. */
const translateRequest = z.looseObject({
  model: z.string().min(1),
  text: z.string(),
  target_language: z.string(),
  max_length: z.number().nullish(),
})

const translation = z.looseObject({ translation: z.string() }).meta({ id: 'Translation' })

const decoder = new TextDecoder()
const fieldsOf = (bytes: Uint8Array) => JSON.parse(decoder.decode(bytes)) as JsonObject
const textOf = (value: unknown) => (typeof value === 'string' ? value : '')

const translateFormat: WireFormat = {
  name: 'toy.translate',
  upstreamPath: '/translate',
  governedFields: ['model', 'text', 'max_length'],
  inputSize: (body) => ({ text: Buffer.byteLength(textOf((body as JsonObject)['text'])), extra: 1, tokens: 0 }),
  outputLimit: ({ max_length: max }) => ({ maxTokens: typeof max === 'number' ? max : 0, isOpen: typeof max !== 'number', choices: 1 }),
  requestParameters: ({ max_length: max }) => ({ maxTokens: typeof max === 'number' ? max : undefined }),
  replyFacts: (bytes) => ({ id: textOf(fieldsOf(bytes)['id']), finishReasons: ['done'] }),
  replyText: (bytes) => Buffer.byteLength(textOf(fieldsOf(bytes)['translation'])),
  frameText: () => undefined,
  requestMessages: (body) => [{ role: 'user', parts: [{ type: 'text', content: textOf((body as JsonObject)['text']) }] }],
  replyMessages: (bytes) => [{ role: 'assistant', parts: [{ type: 'text', content: textOf(fieldsOf(bytes)['translation']) }] }],
  frameMessages: () => [],
}

export const translate: Operation<z.output<typeof translateRequest>, JsonReply> = {
  name: 'translate',
  modelType: 'llm',
  genAiName: 'translation',
  producesText: true,
  streams: false,
  request: translateRequest,
  format: translateFormat,
}

export const createTranslation = defineRoute({
  method: 'POST',
  path: '/v1/translations',
  api: 'inference',
  operationId: 'createTranslation',
  tag: 'Translations',
  summary: 'Translate a text',
  operation: translate,
  body: translate.request,
  responses: { 200: { description: 'The translation.', json: translation } },
  handle({ body, bytes, members, call, dialect }, { inference }) {
    return toResponse(execute(translate, { model: body.model, body, bytes, members }, call, inference), call, { stream: false, dialect })
  },
})
