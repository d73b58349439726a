import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { providerOf, testApp, testConfig } from '../../src/testing/index.ts'

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
