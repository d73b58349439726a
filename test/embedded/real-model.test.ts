import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { llamaCppConfig, modelsFolder } from '../../src/providers/inference/llama-cpp/config.ts'
import { llamaCpp } from '../../src/providers/inference/llama-cpp/provider.ts'
import { listLocalModels, findLocalModel } from '../../src/providers/inference/llama-cpp/store/store.ts'
import { providerEntry, testConfig, testServer } from '../../src/testing/index.ts'
import { eventsOf, type ChatReply, type Chunk } from './embedded-server.ts'

// A model of 250 MB takes a while to load and to speak on a busy machine.
setDefaultTimeout(300_000)

/**
 * The models that were pulled into the default store (`corral models pull gemma3-270m`). Without any, the other tests still run llama.cpp, with
 * models made by code; what only trained weights can show is shown where there are some.
 */
const folder = modelsFolder(process.env['CORRAL_HOME'])
const models = (await listLocalModels(folder)).filter(({ type, name }) => type === 'llm' && ['gemma3-270m', 'qwen3-0.6b'].includes(name))

describe('a model with trained weights', () => {
  test('is asked for in CI', async () => {
    if (process.env['CORRAL_REAL_MODEL'] === undefined) return
    expect(await findLocalModel(folder, process.env['CORRAL_REAL_MODEL'])).toBeDefined()
  })

  test.each(models.map(({ name }) => name))('%s knows a capital, plain and streamed, and writes JSON by a schema', async (name) => {
    const provider = providerEntry(llamaCpp, 'llama-cpp', {
      models_dir: llamaCppConfig.parse({ models_dir: folder }).modelsDir,
      auto_pull: false,
    })
    await using server = await testServer(testConfig({ providers: [provider] }))
    const ask = (body: object): Promise<Response> =>
      server.fetch('/v1/chat/completions', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: `llama-cpp/${name}`, temperature: 0, max_tokens: 40, ...body }),
      })
    const messages = [{ role: 'user', content: 'What is the capital of France?' }]
    const reply = (await (await ask({ messages })).json()) as ChatReply
    expect(reply.choices[0]?.message.content).toContain('Paris')
    const events = await eventsOf(await ask({ messages, stream: true }))
    expect(events.at(-1)).toBe('[DONE]')
    const text = (events.slice(0, -1) as Chunk[]).map(({ choices }) => choices[0]?.delta.content ?? '').join('')
    expect(text).toBe(reply.choices[0]!.message.content!)
    const schema = { type: 'object', properties: { city: { type: 'string' }, capital: { type: 'boolean' } }, required: ['city', 'capital'] }
    const shaped = (await (
      await ask({ messages, response_format: { type: 'json_schema', json_schema: { name: 'city', schema, strict: true } } })
    ).json()) as ChatReply
    expect(JSON.parse(shaped.choices[0]!.message.content!)).toMatchObject({ city: expect.any(String), capital: expect.any(Boolean) })
  })
})
