import { describe, expect, test } from 'bun:test'
import { jsonReply, mockUpstream, providerEntry, testApp, testConfig } from '../../src/testing/index.ts'
import { operatorKey, patient, remoteCases } from './remote-providers.ts'

describe('a redirect of the operator’s host', () => {
  test.each(remoteCases.map((kase) => [kase.type, kase] as const))(
    '[EGR-8] %s: is an error, and the key goes nowhere else',
    async (_, kase) => {
      await using upstream = await mockUpstream()
      await using other = await mockUpstream()
      other.respond(() => jsonReply({ ok: true }))
      // Also what is asked beside the relay: listings, tokens.
      upstream.respond(({ path, method }) => {
        if (method !== 'GET' && !/chat|completions|invocations/.test(path)) return undefined
        return { status: 308, headers: { location: `${other.url}${path}` } }
      })
      const config = kase.config(upstream, { [kase.keyField]: operatorKey, network: { headers: { 'x-operator': 'secret-header' } } })
      await using app = await testApp(testConfig({ providers: [providerEntry(kase.definition, 'p', config)] }), patient)
      const response = await app.fetch('/v1/chat/completions', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'p/m', messages: [{ role: 'user', content: 'Hi' }] }),
      })
      expect(response.status).toBeGreaterThanOrEqual(400)
      expect(await response.text()).not.toContain(other.url)
      await app.fetch('/v1/models')
      expect(other.accepted).toBe(0)
    },
  )
})
