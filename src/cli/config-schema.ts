import { defineCommand } from './command.ts'

export const configSchema = defineCommand({
  name: 'config schema',
  summary: 'print the JSON Schema of the configuration file, for editors',
  description:
    'Editors with the YAML language server complete and check a file that begins with the line `# yaml-language-server: $schema=./corral.schema.json`.',
  options: { json: { type: 'boolean', description: '', ignored: 'a JSON Schema is JSON.' } },
  examples: [['Keep it beside the configuration', 'corral config schema > corral.schema.json']],
  async run(_input, { stdout }) {
    const { configJsonSchema } = await import('../config/json-schema.ts')
    const { plannedProviders: planned, providerDefinitions: definitions } = await import('../providers/index.ts')
    stdout.write(`${JSON.stringify(configJsonSchema({ definitions, planned }), undefined, 2)}\n`)
  },
})
