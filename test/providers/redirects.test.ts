import { describe, expect, test } from 'bun:test'
import { jsonReply, mockUpstream, providerEntry, testApp, testConfig } from '../../src/testing/index.ts'
import { mainOperation, operatorKey, patient, remoteCases } from './remote-cases.ts'

describe('a redirect of the operator’s host', () => {
  test.each(remoteCases.map((remoteCase) => [remoteCase.type, remoteCase] as const))(
    '[EGR-8] %s: is an error, and the key goes nowhere else',
    async (_, remoteCase) => {
      await using upstream = await mockUpstream()
      await using other = await mockUpstream()
      other.respond(() => jsonReply({ ok: true }))
      // Also what is asked beside the relay: listings, tokens.
      upstream.respond(({ path, method }) => {
        if (method !== 'GET' && !/chat|completions|invocations|embeddings/.test(path)) return undefined
        return { status: 308, headers: { location: `${other.url}${path}` } }
      })
      const config = remoteCase.config(upstream, {
        [remoteCase.keyField]: operatorKey,
        network: { headers: { 'x-operator': 'secret-header' } },
      })
      await using app = await testApp(testConfig({ providers: [providerEntry(remoteCase.definition, 'p', config)] }), patient)
      const operation = mainOperation(remoteCase)
      const response = await app.fetch(operation.path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'p/m', ...operation.body }),
      })
      expect(response.status).toBeGreaterThanOrEqual(400)
      expect(await response.text()).not.toContain(other.url)
      await app.fetch('/v1/models')
      expect(other.accepted).toBe(0)
    },
  )
})
