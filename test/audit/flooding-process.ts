import { openAuditLog } from '../../src/telemetry/audit/open.ts'

/** Started by a test: records without end until it is killed, and prints the number of each entry that is on disk. */
const [, , folder = ''] = process.argv
const log = await openAuditLog({ folder, name: 'server' })
for (let n = 0; ; n++) {
  log.record({ event: 'api_key.created', resource: `api_key::key_${n}`, reason: 'x'.repeat(n % 900) })
  if (n % 20 === 0 && (await log.flush())) process.stdout.write(`${n}\n`)
}
