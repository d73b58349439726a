import { type CommandContext, defineCommand, jsonOption } from './command.ts'
import { table } from './table.ts'

interface DistributionRow {
  readonly name: string
  readonly kind: 'built in' | 'own'
  readonly description: string
}

export const listDistros = defineCommand({
  name: 'list distros',
  aliases: ['list distributions', 'stack list', 'stack list-distros'],
  summary: 'List distributions for `corral run NAME`',
  description: 'Lists the built-in distributions and those saved by `corral build --name NAME` in ~/.corral/distributions.',
  options: { json: jsonOption },
  examples: [['All distributions', 'corral list distros']],
  async run({ options }, context) {
    const { stdout } = context
    const { builtInDistributions } = await import('../config/distributions/index.ts')
    const rows: DistributionRow[] = builtInDistributions.map(({ name, description }) => ({ name, kind: 'built in', description }))
    rows.push(...(await ownDistributions(context)))
    if (options.json) stdout.write(`${JSON.stringify(rows)}\n`)
    else
      stdout.write(
        table(
          stdout,
          ['NAME', 'KIND', 'DESCRIPTION'],
          rows.map((row) => [row.name, row.kind, row.description]),
        ),
      )
  },
})

async function ownDistributions({ env }: CommandContext): Promise<DistributionRow[]> {
  const { ownFolder } = await import('../config/source.ts')
  const { readdir } = await import('node:fs/promises')
  const { homedir } = await import('node:os')
  const { join } = await import('node:path')
  const folder = ownFolder(env, env['HOME'] ?? homedir())
  try {
    const entries = await readdir(folder, { withFileTypes: true })
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => ({ name, kind: 'own', description: join(folder, name) }))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
