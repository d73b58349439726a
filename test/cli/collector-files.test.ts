import { expect, test } from 'bun:test'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inProcess, temporaryFolder } from './corral.ts'

test('[TRC-15] a collector’s missing certificate stops a server, and no command that sends nothing', async () => {
  using folder = temporaryFolder()
  const file = join(folder.path, 'run.yaml')
  const text = `version: 2
providers: {}
telemetry:
  store: { enabled: true }
  otlp: { endpoint: 'https://collector:4318', certificate: ${join(folder.path, 'absent.pem')} }
server: { port: 0 }
`
  await writeFile(file, text)
  const env = { HOME: folder.path, CORRAL_HOME: folder.path, CORRAL_CONFIG: file }
  for (const words of ['keys list', 'traces list', 'usage', 'storage status', 'audit list', 'config show']) {
    const { code, stderr } = await inProcess(words.split(' '), { env })
    expect([words, code, stderr.includes('absent.pem')]).toEqual([words, 0, words === 'config show'])
  }
  const shown = await inProcess(['config', 'show'], { env })
  expect(shown.stderr).toMatch(
    /^warning: telemetry\.otlp\.certificate .*absent\.pem' cannot be read \(ENOENT\): a server would not start$/m,
  )
  for (const words of ['run', 'config validate', 'doctor']) {
    const { code, stdout, stderr } = await inProcess(words.split(' '), { env })
    expect([words, code]).toEqual([words, 1])
    expect(stdout + stderr).toContain("absent.pem' cannot be read (ENOENT)")
  }
})
