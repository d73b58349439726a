import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { providerOf, recordedLog, testApp, testConfig } from '../../src/testing/index.ts'

/** Whatever a provider may call a model, but for what a URL takes for its own: `.` and `..` between slashes, and a slash at the end. */
const id = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
  .filter((text) => !/(^|\/)\.{1,2}(\/|$)|\/$/.test(text) && text.isWellFormed())

test('every id that a provider lists is found under it, percent-encoded, and nothing breaks on those that are not', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(id, { maxLength: 8 }), id, async (ids, other) => {
      const provider = providerOf('p', { listModels: async () => ids.map((one) => ({ id: one, type: 'llm', metadata: {} })) })
      await using app = await testApp(testConfig({ providers: [provider] }))
      const listed = (await (await app.fetch('/v1/models')).json()) as { data: { id: string; provider_resource_id: string }[] }
      expect(listed.data.map((model) => model.provider_resource_id)).toEqual(ids)
      for (const model of listed.data) {
        const encoded = model.id.split('/').map(encodeURIComponent)
        for (const path of [encoded.join('/'), encodeURIComponent(model.id)]) {
          const response = await app.fetch(`/v1/models/${path}`)
          expect(await response.json()).toEqual(model)
        }
      }
      const response = await app.fetch(`/v1/models/${encodeURIComponent(other)}`)
      expect([200, 404]).toContain(response.status)
    }),
    { numRuns: 60 },
  )
})

const listed = (name: string) => ({ id: name, type: 'llm', metadata: {} }) as const

test('a name of megabytes comes back shortened, in the response and in the log', async () => {
  const long = 'x'.repeat(5_000_000)
  const providers = [
    providerOf('p', { listModels: async () => [listed(long)] }),
    providerOf('q', { listModels: async () => [listed(long), listed(`only-q${long}`)] }),
    providerOf('never', {
      listModels: ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('stopped')))),
    }),
  ]
  const log = recordedLog()
  await using app = await testApp(testConfig({ providers: providers.slice(0, 2) }), { log })
  await using waiting = await testApp(testConfig({ providers }), { log, times: { firstListingTimeout: 5 } })
  const ask = (to: typeof app, model: string) =>
    to.fetch('/v1/chat/completions', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'x' }] }),
    })
  const cases = [
    // Absent; several have it; the provider does no chat; not known yet.
    [app, `n${long}`, 404],
    [app, long, 400],
    [app, `only-q${long}`, 400],
    [waiting, `n${long}`, 503],
  ] as const
  for (const [to, model, status] of cases) {
    const response = await ask(to, model)
    expect(response.status).toBe(status)
    const text = await response.text()
    expect(text).toContain('xxx…')
    expect(text.length).toBeLessThan(1_500)
  }
  const lines = log.lines.filter(({ message }) => message === 'request')
  expect(lines).toHaveLength(cases.length)
  for (const line of lines) expect(JSON.stringify(line).length).toBeLessThan(4_000)
})
