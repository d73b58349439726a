import { spawnSync } from 'node:child_process'
import { Database } from 'bun:sqlite'
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chatReply, chatStream } from '../../src/testing/index.ts'
import { parseText, valuesOf } from '../telemetry/metrics/parse-text.ts'
import { askForChat, type Program, type ProgramOptions, startProgram, upstreamThat } from './program.ts'
import { smallDisk, wayToMount } from './small-disk.ts'

setDefaultTimeout(60_000)

const linux = process.platform === 'linux'
const mounting = wayToMount()
if (linux && !mounting)
  console.warn('Nothing can be mounted here: a limit on the size of files stands in for a full disk, and nothing for a read-only one.')

/** Concurrent requests, whole and streamed: all succeed. */
async function served({ url }: Program): Promise<void> {
  const responses = await Promise.all([false, true, false].map((stream) => askForChat(url, { stream })))
  expect(responses.map(({ status }) => status)).toEqual([200, 200, 200])
  const [whole = '', streamed = ''] = await Promise.all(responses.map((response) => response.text()))
  expect([whole.includes('Hello'), streamed.endsWith('data: [DONE]\n\n')]).toEqual([true, true])
}

async function dropped({ url }: Program, what: string): Promise<number> {
  const families = parseText(await (await fetch(`${url}/metrics`)).text())
  return valuesOf(families, 'corral_telemetry_dropped_total', { corral_dropped: what }).reduce((sum, value) => sum + value, 0)
}

/** Asks for chats until so much is lost. */
async function servedUntilDropped(program: Program, what: string, least: number): Promise<number> {
  for (;;) {
    await served(program)
    const count = await dropped(program, what)
    if (count >= least) return count
  }
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 50))
}

/** Lines of the log that tell that something is out of reach, or back. */
function reported(program: Program, dependency: string): string[] {
  return program.log.filter((line) => line['dependency'] === dependency).map(({ msg }) => msg)
}

const gone = 'dependency unavailable'
const back = 'dependency recovered'

/** Starts a server whose traces go to `path` at once. */
async function start(path: string, more: ProgramOptions): Promise<{ program: Program; [Symbol.asyncDispose](): Promise<void> }> {
  const upstream = await upstreamThat(({ json }) => (json?.['stream'] === true ? chatStream() : chatReply()))
  const program = await startProgram({
    upstream: `${upstream.url}/v1`,
    telemetry: { store: { enabled: true, path } },
    ...more,
    env: { OTEL_BSP_SCHEDULE_DELAY: '20', ...more.env },
  })
  return {
    program,
    async [Symbol.asyncDispose]() {
      await program[Symbol.asyncDispose]()
      await upstream[Symbol.asyncDispose]()
    },
  }
}

/** Lets the files of a server grow to so many bytes: of the launcher, and of the one that serves. */
function limitFiles(program: Program, bytes: string): void {
  for (const pid of [program.pid, ...program.log.slice(0, 1).map((line) => Number(line['pid']))]) {
    const { status } = spawnSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:`])
    expect(status).toBe(0)
  }
}

describe('the trace store', () => {
  test.if(mounting !== undefined)(
    '[TST-3] on a full disk: serving goes on, what is lost is counted, and it writes again once there is room',
    async () => {
      using disk = smallDisk(mounting!, { megabytes: 4 })
      await using running = await start(join(disk.path, 'traces.db'), { within: disk.within })
      const { program } = running
      await served(program)
      const stored = join(`/proc/${program.pid}/root`, disk.path, 'traces.db')
      await until(() => existsSync(stored) && Number(textIn(stored, 'select count(*) from sqlite_schema')) > 0)
      await until(() => Number(textIn(stored, 'select count(*) from traces')) >= 3)
      expect(await dropped(program, 'spans')).toBe(0)
      disk.fill(program.pid)
      const lost = await servedUntilDropped(program, 'spans', 30)
      await program.until(() => reported(program, 'trace store').length > 0)
      expect(reported(program, 'trace store')).toEqual([gone])
      disk.empty(program.pid)
      while (!reported(program, 'trace store').includes(back)) await served(program)
      expect(reported(program, 'trace store')).toEqual([gone, back])
      const after = await dropped(program, 'spans')
      expect(after).toBeGreaterThanOrEqual(lost)
      await served(program)
      expect(await dropped(program, 'spans')).toBe(after)
      expect(textIn(stored, 'pragma integrity_check')).toBe('ok')
    },
  )

  test.if(mounting !== undefined)(
    '[TST-3] on a read-only disk: serving goes on, the failure is reported once, and losses are counted',
    async () => {
      using disk = smallDisk(mounting!, { megabytes: 1, readOnly: true })
      await using running = await start(join(disk.path, 'traces.db'), { within: disk.within })
      const { program } = running
      await servedUntilDropped(program, 'spans', 30)
      await program.until(() => reported(program, 'trace store').length > 0)
      expect(reported(program, 'trace store')).toEqual([gone])
    },
  )

  test.if(linux)('[TST-3] where its file may not grow: the same', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'corral-limit-'))
    try {
      // 256 blocks of 512 bytes. A write beyond is a signal, which would end the process, and, where that is ignored, EFBIG.
      const within = ['sh', '-c', 'trap "" XFSZ && ulimit -S -f 256 && exec "$0" "$@"']
      await using running = await start(join(folder, 'traces.db'), { within })
      const { program } = running
      await servedUntilDropped(program, 'spans', 30)
      await program.until(() => reported(program, 'trace store').length > 0)
      expect(reported(program, 'trace store')).toEqual([gone])
      limitFiles(program, 'unlimited')
      while (!reported(program, 'trace store').includes(back)) await served(program)
      expect(reported(program, 'trace store')).toEqual([gone, back])
      expect(textIn(join(folder, 'traces.db'), 'pragma integrity_check')).toBe('ok')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

const ledger = {
  audit: false,
  quota: { ledger: true, limits: [], prices: [{ model: '*', input_per_million: 1, output_per_million: 1 }] },
}

const storageIn = (path: string) => ({
  backends: { records: { type: 'kv_sqlite', db_path: join(path, 'corral.db') } },
  stores: { metadata: { backend: 'records' } },
})

describe('the database', () => {
  const name = 'ledger database'

  test.if(mounting !== undefined)(
    '[QUO-58] on a full disk: serving goes on, and every line of the ledger is written once there is room',
    async () => {
      using disk = smallDisk(mounting!, { megabytes: 2 })
      await using running = await start(join(disk.path, 'none.db'), {
        within: disk.within,
        server: ledger,
        storage: storageIn(disk.path),
        telemetry: { store: { enabled: false } },
      })
      const { program } = running
      const seen = join(`/proc/${program.pid}/root`, disk.path, 'corral.db')
      disk.fill(program.pid)
      let count = 0
      while (!reported(program, name).includes(gone)) {
        await served(program)
        count += 3
      }
      await served(program)
      disk.empty(program.pid)
      await program.until(() => reported(program, name).includes(back))
      expect(reported(program, name)).toEqual([gone, back])
      // In batches, of which the first is there.
      const lines = () => Number(textIn(seen, 'select count(*) from ledger'))
      await until(() => lines() >= count + 3)
      expect(lines()).toBe(count + 3)
      expect(await dropped(program, 'ledger')).toBe(0)
    },
  )

  test.if(linux)('[QUO-58] where its file may not grow: the same', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'corral-limit-'))
    try {
      await using running = await start(join(folder, 'none.db'), {
        within: ['sh', '-c', 'trap "" XFSZ && exec "$0" "$@"'],
        server: ledger,
        storage: storageIn(folder),
        telemetry: { store: { enabled: false } },
      })
      const { program } = running
      limitFiles(program, '4096')
      let count = 0
      while (!reported(program, name).includes(gone)) {
        await served(program)
        count += 3
      }
      limitFiles(program, 'unlimited')
      const lines = () => Number(textIn(join(folder, 'corral.db'), 'select count(*) from ledger'))
      await program.until(() => reported(program, name).includes(back))
      await until(() => lines() >= count)
      expect([lines(), await dropped(program, 'ledger')]).toEqual([count, 0])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test.if(mounting !== undefined)('[QUO-58] a server that stops while the disk is full reports what was lost', async () => {
    using disk = smallDisk(mounting!, { megabytes: 2 })
    await using running = await start(join(disk.path, 'none.db'), {
      within: disk.within,
      server: { ...ledger, drain_grace_seconds: 0 },
      storage: storageIn(disk.path),
      telemetry: { store: { enabled: false } },
    })
    const { program } = running
    disk.fill(program.pid)
    while (!reported(program, name).includes(gone)) await served(program)
    program.signal('SIGTERM')
    expect(await program.exited).toBe(0)
    const line = program.log.find(({ msg }) => msg.startsWith('Ledger entries were lost'))
    expect(line).toMatchObject({ lost_lines: expect.any(Number) as number, lost_usd: expect.any(Number) as number })
  })

  test.if(mounting !== undefined)(
    '[STO-20] with a home on a read-only disk: a warning at start, serving goes on, and the ledger’s lines wait',
    async () => {
      using disk = smallDisk(mounting!, { megabytes: 1, readOnly: true })
      await using running = await start(join(disk.path, 'traces.db'), {
        within: disk.within,
        server: ledger,
        env: { CORRAL_HOME: disk.path },
      })
      const { program } = running
      expect(program.log.some(({ msg }) => msg.startsWith(`The database file ${join(disk.path, 'corral.db')} cannot be opened`))).toBe(true)
      while (!reported(program, name).includes(gone)) await served(program)
      await program.until(() => reported(program, name).length > 0)
      expect(reported(program, name)).toEqual([gone])
      expect(await dropped(program, 'ledger')).toBe(0)
    },
  )
})

/** The result of a statement in a copy of an idle database: SQLite cannot open a file in another mount namespace. */
function textIn(path: string, statement: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'corral-copy-'))
  try {
    for (const end of ['', '-wal']) if (existsSync(path + end)) copyFileSync(path + end, join(folder, `copy.db${end}`))
    using database = new Database(join(folder, 'copy.db'))
    return String(Object.values(database.query<Record<string, unknown>, []>(statement).get() ?? {})[0])
  } finally {
    rmSync(folder, { recursive: true })
  }
}
