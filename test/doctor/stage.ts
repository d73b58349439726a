import { expect } from 'bun:test'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DoctorFinding } from '../../src/cli/doctor/check.ts'
import { freePort } from '../services/service.ts'
import { inProcess } from '../cli/corral.ts'

/** Sections of a configuration, as a file has them. */
interface Sections {
  /** `server`, without its port. */
  readonly server?: object
  readonly storage?: object
  /** What must not be shown. */
  readonly secrets?: readonly string[]
}

/** What the doctor says of one thing: a state, and in one text what it saw and what to do. */
export type Said = readonly [state: DoctorFinding['state'] | undefined, text: string]

/** Runs `corral doctor` on a configuration of its own; resolves with what it says of whatever `about` begins. */
export async function doctorOn({ server = {}, storage, secrets = [] }: Sections, about: string): Promise<Said> {
  const home = await mkdtemp(join(tmpdir(), 'corral-doctor-'))
  try {
    const file = join(home, 'run.yaml')
    await mkdir(join(home, 'state'), { mode: 0o700 })
    const port = await freePort()
    // JSON is YAML.
    await writeFile(file, JSON.stringify({ version: 2, distro_name: 'doctor', providers: {}, server: { port, ...server }, storage }))
    const { code, stdout, stderr } = await inProcess(['doctor', file, '--json'], { env: { CORRAL_HOME: join(home, 'state') } })
    for (const secret of secrets) expect(stdout + stderr).not.toContain(secret)
    const { ok, findings } = JSON.parse(stdout) as { ok: boolean; findings: DoctorFinding[] }
    expect(findings.filter(({ state, remedy }) => (state === 'ok') !== (remedy === undefined))).toEqual([])
    expect([code, ok]).toEqual(findings.some(({ state }) => state === 'failed') ? [1, false] : [0, true])
    const found = findings.filter(({ subject }) => subject.startsWith(about))
    expect([found.length, stdout]).toEqual([1, stdout])
    const [{ state, message, remedy = '' } = {} as Partial<DoctorFinding>] = found
    return [state, `${message}\n${remedy}`]
  } finally {
    await rm(home, { recursive: true })
  }
}
