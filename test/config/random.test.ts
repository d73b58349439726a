import { expect, setDefaultTimeout, test } from 'bun:test'
import * as fc from 'fast-check'
import { stringify } from 'yaml'
import type { LoadOptions } from '../../src/config/load.ts'
import { ConfigErrors, formatIssue } from '../../src/config/report.ts'
import { renderConfig } from '../../src/config/render.ts'
import { fileSchema } from '../../src/config/schema.ts'
import { serverSchema } from '../../src/config/schema-server.ts'
import { load, sample } from './loading.ts'
import { runs } from '../../src/testing/sizes.ts'

// Hundreds of files, on a machine that may be busy.
setDefaultTimeout(60_000)

/** Everything that loading says: its errors, or its warnings and what it shows. Throws what is no ConfigErrors. */
async function saidBy(text: string, options: LoadOptions): Promise<string> {
  try {
    const { config, warnings } = await load(text, options)
    return [...warnings.map(formatIssue), renderConfig(config)].join('\n')
  } catch (error) {
    if (error instanceof ConfigErrors) return error.issues.map(formatIssue).join('\n')
    throw error
  }
}

const variables = ['A_SECRET', 'B_KEY', 'C']
const name = fc.constantFrom(...variables, 'UNSET', 'lower')
const reference = fc.oneof(
  fc
    .tuple(name, fc.constantFrom('', ':=', ':+', ':=x', ':+x', ':x', ':=${env.C}', ':=~/x'))
    .map(([variable, rest]) => `\${env.${variable}${rest}}`),
  fc.constantFrom('${env.', '${env.}', '${', '}', '$', '~', '~/', ':', '__disabled__'),
)
const text = fc.array(fc.oneof(reference, fc.string({ maxLength: 5 })), { maxLength: 4 }).map((parts) => parts.join(''))

const topKeys = [...Object.keys(fileSchema.shape), 'unknown', 'sever']
const serverKeys = [...Object.keys(serverSchema.shape), 'prot']
const configKeys = [...Object.keys((sample.config as unknown as { shape: object }).shape), 'other']
const keys = fc.constantFrom(
  ...topKeys,
  ...serverKeys,
  ...configKeys,
  'inference',
  'provider_id',
  'provider_type',
  'config',
  'model_id',
  'backends',
  'stores',
  'type',
  '<<',
)

const leaf = fc.oneof(
  text,
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.constantFrom('remote::sample', 'all', 'auto', 'sqlite'),
)
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(keys, tie('value'), { maxKeys: 4 }),
  ),
}))

const provider = fc.record({
  provider_id: fc.oneof(text, fc.constantFrom('one', 'two')),
  provider_type: fc.oneof(fc.constant('remote::sample'), text),
  config: fc.dictionary(fc.constantFrom(...configKeys), value, { maxKeys: 5 }),
})

/** Files that are nearly right, so that every reader gets its share. */
const file = fc.record(
  {
    version: fc.oneof({ weight: 5, arbitrary: fc.constant(2) }, { weight: 1, arbitrary: value }),
    providers: fc.oneof(
      { weight: 5, arbitrary: fc.record({ inference: fc.array(provider, { maxLength: 3 }) }) },
      { weight: 1, arbitrary: value },
    ),
    server: fc.oneof(fc.dictionary(fc.constantFrom(...serverKeys), value, { maxKeys: 4 }), value),
    registered_resources: fc.oneof(fc.record({ models: fc.array(fc.dictionary(keys, value, { maxKeys: 4 }), { maxLength: 3 }) }), value),
    storage: value,
    vector_stores: value,
    logging: value,
    apis: value,
    metadata_store: value,
    unknown_key: value,
  },
  { requiredKeys: ['providers'] },
)

const secretValue = fc.stringMatching(/^[a-z0-9]{12,16}$/).map((random) => `sEcReT-${random}`)

test('for any file, loading ends with a configuration or with ConfigErrors, and shows no secret', async () => {
  await fc.assert(
    fc.asyncProperty(file, secretValue, async (content, secret) => {
      const env = { A_SECRET: secret, B_KEY: ` ${secret}-b\n`, C: '' }
      // What a provider is called and where a model is are no secrets: they are shown, wherever they come from.
      const shown = await saidBy(stringify(content), { env })
      const isError = shown.startsWith('text')
      if (isError) expect(shown).not.toContain(secret)
    }),
    { numRuns: runs(200) },
  )
})

test('a key from the environment appears neither in errors nor in the shown configuration', async () => {
  const place = fc.constantFrom(
    'api_key: X',
    'headers: { a: X }',
    'mode: X',
    'max_tokens: X',
    'extra: { password: X }',
    'base_url: "http://u:X@h/"',
    'network: { proxy: "http://u:X@h" }',
    'verify: [X]',
  )
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(place, { minLength: 1, selector: (line) => line.split(':')[0] }),
      secretValue,
      async (lines, secret) => {
        const config = lines
          .map((line) => `        ${line.replace('X', line.includes('"') ? '${env.A_SECRET}' : '"${env.A_SECRET}"')}`)
          .join('\n')
        const yaml = `providers:\n  inference:\n    - provider_id: one\n      provider_type: remote::sample\n      config:\n${config}`
        expect(await saidBy(yaml, { env: { A_SECRET: secret } })).not.toContain(secret)
      },
    ),
    { numRuns: 60 },
  )
})

test('any text at all is read or refused, never more', async () => {
  const yamlish = fc.array(
    fc.constantFrom(
      'version: 2',
      'providers:',
      '  inference:',
      '- ',
      '  - ',
      '&a ',
      '*a',
      '<<: ',
      '{',
      '}',
      '[',
      ']',
      ': ',
      '\n',
      '\t',
      '"',
      "'",
      '|',
      '>',
      '!!binary ',
      '---',
      '...',
      '%YAML',
      '#',
      '? ',
      '\u0000',
      '\u2028',
      '\ud800',
      '${env.A_SECRET}',
    ),
    { maxLength: 30 },
  )
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        yamlish.map((parts) => parts.join('')),
      ),
      async (content) => {
        await saidBy(`${content}\n`, { env: { A_SECRET: 'x'.repeat(20) } })
      },
    ),
    { numRuns: runs(300) },
  )
})
