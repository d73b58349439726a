import type { ChainReport } from '../telemetry/audit/verify.ts'
import type { AuditChain } from './audit-folder.ts'
import { type CommandContext, CommandError, defineCommand, jsonOption } from './command.ts'
import { configOption } from './keys-options.ts'
import { sleep } from '../timing.ts'

export const auditVerify = defineCommand({
  name: 'audit verify',
  summary: 'Verify the integrity of the audit log',
  description:
    'Checks the hash chain of each log and reports where it is broken: file, line, and whether lines were changed, removed, inserted, reordered or truncated. Exits with 1 if any check fails.\n\nA hash chain cannot show that lines were removed from its end, or that all of it was rewritten. Store the printed heads where users with write access to the log cannot change them, and pass them with --head next time.',
  arguments: [{ name: 'FOLDER|FILE', description: 'files or folders to check; default: the folder of the configuration', many: true }],
  options: {
    head: { type: 'string', value: 'HASH', multiple: true, description: 'a head printed by an earlier run, which must still be present' },
    config: configOption,
    json: jsonOption,
  },
  examples: [
    ['Verify the log of this server', 'corral audit verify'],
    [
      'Verify that it continues an earlier state',
      'corral audit verify --head 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
    ],
    ['Verify a copy', 'corral audit verify /backup/audit'],
  ],
  async run({ args, options }, context) {
    const { findChains } = await import('./audit-folder.ts')
    const chains = await findChains({ config: options.config, paths: args }, context)
    const wanted = new Set(options.head.map((hash) => hash.toLowerCase()))
    const reports = await Promise.all(chains.map((chain) => check(chain, wanted)))
    const broken = reports.some(({ findings }) => findings.length > 0)
    if (options.json)
      context.stdout.write(`${JSON.stringify({ ok: !broken && wanted.size === 0, chains: reports, missing_heads: [...wanted] })}\n`)
    else for (const report of reports) printReport(report, context)
    if (wanted.size > 0) {
      const heads = [...wanted].join(', ')
      throw new CommandError(`Head not found: ${heads}. Lines were removed from the end, files were deleted, or the log was rewritten.`)
    }
    return broken ? 1 : 0
  },
})

/** Milliseconds after which an unfinished last line is looked at once more: a server may be writing it. */
const recheckDelay = 500

async function check(chain: AuditChain, wanted: Set<string>): Promise<ChainReport> {
  const report = await verify(chain, wanted)
  if (!report.findings.some(({ why }) => why === 'torn')) return report
  await sleep(recheckDelay)
  return await verify(chain, wanted)
}

async function verify({ chain, files, whole }: AuditChain, wanted: Set<string>): Promise<ChainReport> {
  const [{ verifyChain }, { readFile }] = await Promise.all([import('../telemetry/audit/verify.ts'), import('node:fs/promises')])
  async function* contents() {
    for (const { path, name } of files) {
      const bytes = await readFile(path).catch((error: unknown) => {
        throw new CommandError(`${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown cause'}).`, { cause: error })
      })
      yield { name, bytes }
    }
  }
  return await verifyChain(chain, contents(), { whole, wanted })
}

function printReport({ chain, files, lines, first, last, head, findings, notes }: ChainReport, { stdout }: CommandContext): void {
  const state = findings.length === 0 ? stdout.green('is intact') : stdout.red('is broken')
  const range = lines > 0 ? `, ${first} to ${last}` : ''
  stdout.write(`${stdout.bold(chain)} ${state}: ${lines} lines${range}, in ${files.length} ${files.length === 1 ? 'file' : 'files'}\n`)
  for (const { file, line, why, detail } of findings) stdout.write(`  ${file}:${line}: ${stdout.red(why)}: ${detail}\n`)
  for (const note of notes) stdout.write(`  note: ${note}\n`)
  if (head !== undefined) stdout.write(`  head ${head}\n`)
}
