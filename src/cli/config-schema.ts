import { defineCommand } from './command.ts'

export const configSchema = defineCommand({
  name: 'config schema',
  summary: 'Print the JSON Schema of the configuration file',
  description:
    'Editors with the YAML language server use it to validate and complete a file that begins with the line `# yaml-language-server: $schema=./corral.schema.json`.',
  options: { json: { type: 'boolean', description: '', ignored: 'the output is always JSON.' } },
  examples: [['Save it beside the configuration', 'corral config schema > corral.schema.json']],
  async run(_input, { stdout }) {
    const { configJsonSchema } = await import('../config/json-schema.ts')
    const { plannedProviders: planned, loadProviderDefinitions } = await import('../providers/index.ts')
    const definitions = await loadProviderDefinitions()
    stdout.write(`${JSON.stringify(configJsonSchema({ definitions, planned }), undefined, 2)}\n`)
  },
})
