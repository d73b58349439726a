import { describe, expect, test } from 'bun:test'
import { buildConfigText } from '../../src/config/build.ts'
import { ConfigErrors, formatIssue } from '../../src/config/report.ts'
import { parseProvidersSpec } from '../../src/config/spec.ts'
import { variablesIn } from '../../src/config/substitute.ts'
import { plannedProviders, loadProviderDefinitions } from '../../src/providers/index.ts'
import type { Secret } from '../../src/secret.ts'
import { definitions, load, planned } from './loading.ts'

const served = await loadProviderDefinitions()

const real = { definitions: served, planned: plannedProviders }
const parse = (spec: string) => parseProvidersSpec(spec, { definitions, planned })

function said(spec: string): string[] {
  try {
    parse(spec)
  } catch (error) {
    if (error instanceof ConfigErrors) return error.issues.map(formatIssue)
    throw error
  }
  return []
}

describe('--providers', () => {
  test('full and short types, several, settings as in a query', () => {
    const found = parse(
      ' inference=remote::sample?api_key=a%2Cb&max_tokens=5 , inference=strict-url?base_url=http://x/v1,inference=sample,',
    )
    expect(found.map(({ api, id, definition, settings }) => [api, id, definition.type, settings])).toEqual([
      ['inference', 'sample', 'remote::sample', { api_key: 'a,b', max_tokens: '5' }],
      ['inference', 'strict-url', 'remote::strict-url', { base_url: 'http://x/v1' }],
      ['inference', 'sample-2', 'remote::sample', {}],
    ])
  })

  test('what is wrong is said, all at once', () => {
    expect(said('sample,infrence=sample,inference=sampel,inference=later,inference=')).toEqual([
      '--providers: every provider needs an API and a type: write e.g. "inference=remote::groq,inference=remote::ollama"',
      "--providers: unknown API 'infrence'. Did you mean 'inference'?",
      "--providers: unknown provider type 'sampel' for inference; 'corral list providers' lists all. Did you mean 'remote::sample'?",
      '--providers: inline::later is known, but not served by this version yet',
      '--providers: every provider needs an API and a type: write e.g. "inference=remote::groq,inference=remote::ollama"',
    ])
    expect(said(' , ')).toEqual(['--providers: names no provider: write e.g. "inference=remote::groq,inference=remote::ollama"'])
  })

  test('is served in the place of a file, checked like one', async () => {
    const flags = { providers: 'inference=sample?api_key=007&max_tokens=12' }
    const { config, origin } = await load('', { source: undefined, flags, env: { CORRAL_CONFIG: '/not/read.yaml', CORRAL_PORT: '9' } })
    expect(origin).toEqual({ kind: 'providers', name: '--providers' })
    const settings = config.providers[0]!.config as { api_key: Secret; max_tokens: number }
    expect([settings.api_key.reveal(), settings.max_tokens, config.server.port]).toEqual(['007', 12, 9])
  })

  test('cannot be combined with a file', async () => {
    const error = await load('', { source: 'starter', flags: { providers: 'inference=sample' } }).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ConfigErrors)
    expect((error as ConfigErrors).message).toContain('cannot be combined with a configuration file')
  })
})

/** A value that suits a variable of this name. */
function likely(name: string): string {
  if (name.includes('REGION')) return 'us-east-2'
  if (name.includes('MAX_TOKENS')) return '4096'
  return /KEY|TOKEN|ROLE/.test(name) ? 'sk-secret-4711' : 'https://host.example/v1'
}

describe('a built file', () => {
  test('runs as it is for every provider, explains itself, and holds references in the place of keys', async () => {
    for (const definition of served) {
      const text = buildConfigText(parseProvidersSpec(`${definition.api}=${definition.type}`, real), { name: 'mine' })
      expect(text).toStartWith('# A Corral configuration.')
      expect(text).toEndWith('\n')
      const enabledBy = definition.starter?.enabledBy ?? []
      const env = Object.fromEntries(variablesIn(text).map((name) => [name, likely(name)]))
      expect(text).not.toContain('sk-secret')
      for (const name of enabledBy) expect(text).toContain(name)
      if (/remote::(openai-compatible|hf::)/.test(definition.type)) continue
      const { config, warnings } = await load(text, { ...real, env })
      expect([definition.type, config.distribution, config.providers.map((one) => one.type), warnings]).toEqual([
        definition.type,
        'mine',
        [definition.type],
        [],
      ])
    }
  })

  test('the same for Groq, without a key in the environment', async () => {
    const text = buildConfigText(parseProvidersSpec('inference=remote::groq', real), { name: 'groq' })
    const { config } = await load(text, real)
    expect(config.providers.map((one) => [one.id, one.type])).toEqual([['groq', 'remote::groq']])
    expect(text).toContain('api_key: ${env.GROQ_API_KEY:=}')
    expect(text).toContain('x-llamastack-provider-data: {"groq_api_key":"..."}')
  })

  test('settings of the spec go before the usual ones; odd names are quoted', async () => {
    const text = buildConfigText(parse('inference=sample?base_url=http://x:1/v1&api_key=${env.MY_KEY}'), { name: 'a: "b"' })
    const { config } = await load(text, { env: { MY_KEY: 'mine' } })
    const settings = config.providers[0]!.config as { api_key: Secret; base_url: string }
    expect([config.distribution, settings.base_url, settings.api_key.reveal()]).toEqual(['a: "b"', 'http://x:1/v1', 'mine'])
  })
})

test('the written file names authentication before serving everybody', () => {
  const text = buildConfigText([], { name: 'x' })
  expect(text).toContain('provider_config: { type: api_key }')
  expect(text.indexOf('docs/authentication.md')).toBeLessThan(text.indexOf('allow_unauthenticated'))
})
