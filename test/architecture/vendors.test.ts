import { expect, test } from 'bun:test'
import { providerDefinitions } from '../../src/providers/index.ts'
import { sourceParts } from './source-parts.ts'
import { sources } from './source.ts'

/** Vendors' own files, and the lists of them. */
const isOfVendors = (path: string): boolean => {
  const vendors = new Set(providerDefinitions.map(({ type }) => type.replace(/^\w+::/, '').replace('::', '-')))
  const file = /^src\/providers\/inference\/([\w-]+)\.ts$/.exec(path)?.[1] ?? ''
  return /^src\/providers\/(?:index|planned)\.ts$/.test(path) || [...vendors, 'gateways', 'openrouter-gateway'].includes(file)
}

/** Names that are of vendors alone, and nothing else in this field. */
const names = /openrouter|litellm|mistral|groq|ollama|deepinfra|perplexity|sambanova|watsonx|databricks|nvidia|deepseek|cerebras|fireworks/i

test('[PRV-11] no identifier and no import of shared code names a vendor', () => {
  const shared = sources('src').filter(({ path }) => !path.startsWith('src/testing/') && !path.endsWith('.test.ts'))
  expect(shared.length).toBeGreaterThan(300)
  const found = shared
    .filter(({ path }) => !isOfVendors(path))
    .flatMap(({ path, text }) => {
      const { code, strings } = sourceParts(text)
      const specifiers = strings.filter(({ before }) => /(?:from|import\()\s*$/.test(before)).map((one) => one.text)
      return [code, ...specifiers].flatMap((part) => names.exec(part)?.[0] ?? []).map((name) => `${path}: ${name}`)
    })
  expect(found).toEqual([])
})
