import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { engines } from '../../src/testing/engines.ts'
import { scenarios } from './scenarios.ts'
import { canary, canaryOf, canaryOfPem, leaksIn } from './secrets.ts'
import { type Sink, sinks } from './sinks.ts'
import { canaryStage, type CanaryStage } from './canary-server.ts'

const named = sinks.map((sink) => [sink.name, sink] as const)

for (const engine of engines) {
  describe(`marked secrets in every place, ${engine.name}`, () => {
    let startCanary: CanaryStage
    const replies = new Map<Sink, string>()
    beforeAll(async () => {
      startCanary = await canaryStage(engine)
      for (const { runScenario } of scenarios) await runScenario(startCanary)
      await startCanary.exported()
      // Pages and command output are a sink, too.
      for (const sink of sinks.filter(({ isReply }) => isReply)) replies.set(sink, await sink.read(startCanary))
    }, 120_000)
    afterAll(async () => {
      await startCanary?.[Symbol.asyncDispose]()
    })

    test('they were there: providers, identity services and the collector got theirs', () => {
      const { upstream, identity, issuer, collector } = startCanary
      const sent = JSON.stringify([upstream.requests, identity.requests, issuer.keys.requests, collector.headers])
      expect(startCanary.output()).toContain('the trace collector warns')
      const { operators, callers } = startCanary
      const used = [
        operators.keyInFile,
        operators.keyInEnvironment,
        operators.azureKey,
        operators.extraHeader,
        operators.clientSecret,
        operators.jwksToken,
        operators.jwksQuery,
        operators.urlQuery,
        operators.collectorToken,
        operators.collectorKey,
        callers.goodToken,
        callers.refusedToken,
        callers.invalidToken,
        callers.downToken,
        callers.badToken,
        callers.apiKeyHeader,
        callers.googleHeader,
        callers.providerKey,
        callers.callersHost,
        callers.callersPath,
        callers.prompt,
      ]
      expect(used.filter((one) => leaksIn(sent, [one]).length === 0).map(({ name }) => name)).toEqual([])
    })

    test.each(named)(
      '[SEC-1] none in %s',
      async (_, sink) => {
        const text = replies.get(sink) ?? (await sink.read(startCanary))
        expect(sink.holds instanceof RegExp ? sink.holds.test(text) : text.includes(sink.holds)).toBe(true)
        expect([...new Set(leaksIn(text, startCanary.canaries))]).toEqual([])
      },
      60_000,
    )
  })
}

describe('the search itself', () => {
  const one = canary('a key')
  test.each([
    ['as it is', `x ${one.value} y`],
    ['its beginning', one.value.slice(0, -20)],
    ['its end', one.value.slice(-20)],
    ['in base64', Buffer.from(`user:${one.value}`).toString('base64')],
    ['in base64 after another text', Buffer.from(`{"a":1,"key":"${one.value}"}`).toString('base64url')],
    ['in hex', Buffer.from(one.value).toString('hex').toUpperCase()],
    ['in a URL', `https://a?key=${encodeURIComponent(one.value)}`],
    ['in JSON in JSON', JSON.stringify(JSON.stringify({ key: one.value }))],
    ['backwards', one.value.split('').toReversed().join('')],
  ])('finds a secret %s', (_, text) => {
    expect(leaksIn(text, [one])).not.toEqual([])
  })

  test('finds a line of a PEM file and part of another’s token, and nothing in what is clean', () => {
    const pem = canaryOfPem('a file', '-----BEGIN X-----\nQUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJz\n-----END X-----\n')
    expect(leaksIn('…QUJDREVGR0hJSktMTU5PUFFS', [pem])).not.toEqual([])
    const token = canaryOf('a token', 'crl_0123456789abcdef_secretsecretsecret', 'secretsecretsecret')
    expect(leaksIn('crl_0123456789abcdef', [token])).toEqual([])
    expect(leaksIn('secretsecretsecret', [token])).not.toEqual([])
    expect(leaksIn('***', [one, pem, token])).toEqual([])
  })
})
