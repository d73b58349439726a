import { expect, test } from 'bun:test'
import { plannedProviders, loadProviderDefinitions } from './index.ts'
import { genAiNameOf } from './provider.ts'

const definitions = await loadProviderDefinitions()

test('every type is served or planned, once', () => {
  const served = definitions.map(({ api, type }) => `${api} ${type}`)
  const planned = plannedProviders.map(({ api, type }) => `${api} ${type}`)
  expect(new Set([...served, ...planned]).size).toBe(served.length + planned.length)
})

test.each(definitions.flatMap(({ type, starter, config }) => (starter ? [[type, starter, config] as const] : [])))(
  '%s: the starter entry is a valid configuration, with all its variables and with none',
  (_, starter, config) => {
    const substituted = (value: unknown, filled: boolean): unknown => {
      if (Array.isArray(value)) return value.map((item) => substituted(item, filled))
      if (typeof value === 'object' && value !== null) {
        return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, substituted(item, filled)]))
      }
      const reference = /^\$\{env\.([A-Z0-9_]+)(?::=(.*))?\}$/.exec(String(value))
      if (!reference) return value
      const [, name = '', fallback = ''] = reference
      const text = filled && fallback === '' ? (/URL|HOST|BASE|ENDPOINT/.test(name) ? 'http://127.0.0.1:1/v1' : 'filled') : fallback
      return text === '' ? null : /^\d+$/.test(text) ? Number(text) : text
    }
    expect(config.safeParse(substituted(starter.config, true)).error?.issues ?? []).toEqual([])
    const urls = Object.entries(starter.config).filter(([, value]) => /URL:=\}|HOST:=\}|_NAME\}/.test(String(value)))
    if (urls.length === 0) expect(config.safeParse(substituted(starter.config, false)).error?.issues ?? []).toEqual([])
  },
)

test('no starter entry holds a key', () => {
  const literal = definitions.flatMap(({ starter }) =>
    Object.entries(starter?.config ?? {}).filter(
      ([key, value]) => /key|token/.test(key) && key !== 'max_tokens' && !String(value).startsWith('${env.'),
    ),
  )
  expect(literal).toEqual([])
})

test.each([
  ['inference', 'remote::meta remote::text-embeddings-inference remote::deepseek remote::mistral remote::llama-cpp-server'],
  ['vector_io', 'remote::neo4j'],
  ['tool_runtime', 'remote::exa-search remote::nimble-search remote::serply-search remote::brave-search inline::file-search'],
  ['file_processors', 'inline::unstructured remote::unstructured-api inline::auto'],
  ['skills', 'inline::builtin'],
])('[VEN-6] OGX 1.5 names %s: %s', (api, types) => {
  const known = new Set([...definitions, ...plannedProviders].filter((one) => one.api === api).map(({ type }) => type))
  expect(types.split(' ').filter((type) => !known.has(type))).toEqual([])
})

test('[PRV-11] the names of the semantic conventions are the definitions’ own', () => {
  const names = Object.fromEntries(definitions.map((definition) => [definition.type, genAiNameOf(definition)]))
  expect(names).toMatchObject({
    'remote::openai': 'openai',
    'remote::azure': 'azure.ai.openai',
    'remote::bedrock': 'aws.bedrock',
    'remote::gemini': 'gcp.gemini',
    'remote::watsonx': 'ibm.watsonx.ai',
    'remote::mistral': 'mistral_ai',
    'remote::xai': 'x_ai',
    'remote::hf::serverless': 'hf::serverless',
    'inline::llama-cpp': 'llama-cpp',
  })
})
