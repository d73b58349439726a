import { expect, test } from 'bun:test'
import { jsonReply, type Script } from '../../src/testing/index.ts'
import { startRelay } from './relay-server.ts'

const vector = [0.5, -0.25, 1.5]
const packed = Buffer.from(Float32Array.from(vector).buffer).toString('base64')

interface EmbeddingsBody {
  model: string
  data: { index: number; embedding: unknown }[]
  usage: unknown
}

async function ask(script: Script, encoding?: string): Promise<EmbeddingsBody> {
  await using on = await startRelay([script])
  const response = await on.post('/v1/embeddings', { model: 'up/m', input: 'a', ...(encoding && { encoding_format: encoding }) })
  expect(response.status).toBe(200)
  return (await response.json()) as EmbeddingsBody
}

const embeddingsReplyOf = (embedding: unknown, usage: unknown = { prompt_tokens: 4, total_tokens: 4 }): Script =>
  jsonReply({ object: 'list', data: [{ object: 'embedding', index: 0, embedding }], model: 'other', usage })

test.each([
  ['floats as floats', vector, 'float', vector],
  ['floats where nothing was said', vector, undefined, vector],
  ['base64 as base64', packed, 'base64', packed],
  ['floats turned into base64', vector, 'base64', packed],
  ['base64 turned into floats', packed, 'float', vector],
  ['base64 turned into floats where nothing was said', packed, undefined, vector],
])('%s', async (_, given, encoding, expected) => {
  const reply = await ask(embeddingsReplyOf(given), encoding)
  expect(reply.data).toMatchObject([{ index: 0, embedding: expected }])
  expect(reply.model).toBe('up/m')
  expect(reply.usage).toEqual({ prompt_tokens: 4, total_tokens: 4 })
})

test('usage that the upstream does not count is zero', async () => {
  expect((await ask(embeddingsReplyOf(vector, null))).usage).toEqual({ prompt_tokens: 0, total_tokens: 0 })
})

test('several vectors keep their order and their bytes', async () => {
  const data = '[{"index":0,"object":"embedding","embedding":[1.0,2e-3]},{"index":1,"object":"embedding","embedding":[-0.10]}]'
  const body = `{"object":"list","data":${data},"model":"x","usage":{"prompt_tokens":1,"total_tokens":1}}`
  await using on = await startRelay([{ body }])
  const response = await on.post('/v1/embeddings', { model: 'up/m', input: ['a', 'b'] })
  expect(await response.text()).toBe(body.replace('"x"', '"up/m"'))
})

test.each([{}, { object: null, index: null }])('gets its objects and indexes where the upstream has %j', async (said) => {
  const usage = { prompt_tokens: 1, total_tokens: 1 }
  const reply = await ask(
    jsonReply({
      ...said,
      data: [
        { embedding: [1], ...said },
        { embedding: [2], ...said },
      ],
      usage,
    }),
  )
  expect(reply).toMatchObject({
    object: 'list',
    model: 'up/m',
    data: [
      { object: 'embedding', index: 0, embedding: [1] },
      { object: 'embedding', index: 1, embedding: [2] },
    ],
    usage,
  })
})
