// Publish and consume lines with nsqjs. The two commands are described in ../README.md.
'use strict'

const { createRequire } = require('node:module')
const path = require('node:path')
const { parseArgs } = require('node:util')

// The library is installed apart from this file: NSQJS names the folder that has node_modules.
const nsq = createRequire(path.join(process.env.NSQJS || __dirname, 'package.json'))('nsqjs')

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** A writer for HOST:PORT that is ready, or an error within two seconds. */
function connect(address) {
  const [host, port] = address.split(':')
  return new Promise((resolve, reject) => {
    const writer = new nsq.Writer(host, Number(port))
    const timer = setTimeout(() => reject(new Error(`${address}: no connection`)), 2000)
    writer.on('ready', () => { clearTimeout(timer); resolve(writer) })
    writer.on('error', (err) => { writer.broken = true; reject(err) })
    writer.on('closed', () => { writer.broken = true; reject(new Error(`${address}: closed`)) })
    writer.connect()
  })
}

/** The lines of a stream as buffers: any bytes but the line feed, which is cut off. */
async function * lines(stream) {
  let rest = Buffer.alloc(0)
  for await (const chunk of stream) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    for (let end; (end = rest.indexOf(10)) >= 0; rest = rest.subarray(end + 1)) yield rest.subarray(0, end)
  }
  if (rest.length > 0) yield rest
}

function send(writer, topic, batch) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('no answer')), 10000)
    writer.publish(topic, batch, (err) => {
      clearTimeout(timer)
      if (err) reject(err)
      else resolve()
    })
  })
}

async function publish({ topic, nsqd, batch: size }) {
  const addresses = nsqd.split(',')
  const writers = new Map()
  let turn = 0
  let count = 0

  async function deliver(batch) {
    const end = Date.now() + 60000
    while (Date.now() < end) {
      const address = addresses[turn++ % addresses.length]
      try {
        let writer = writers.get(address)
        if (!writer || writer.broken) {
          writer = await connect(address)
          writers.set(address, writer)
        }
        await send(writer, topic, batch)
        count += batch.length
        return
      } catch (err) {
        console.error(`${address}: ${err.message}`)
        const writer = writers.get(address)
        writers.delete(address)
        if (writer && !writer.broken) writer.close()
        if (turn % addresses.length === 0) await pause(50)
      }
    }
    throw new Error(`no nsqd took a batch of ${topic} for 60 s`)
  }

  let batch = []
  for await (const line of lines(process.stdin)) {
    batch.push(line)
    if (batch.length >= size) {
      await deliver(batch)
      batch = []
    }
  }
  if (batch.length > 0) await deliver(batch)
  for (const writer of writers.values()) writer.close()
  console.log(`published ${count}`)
}

function consume({ topic, channel, lookupd, count }) {
  let seen = 0
  const reader = new nsq.Reader(topic, channel, {
    lookupdHTTPAddresses: lookupd.split(','),
    lookupdPollInterval: 1,
    lookupdPollJitter: 0.01,
    maxInFlight: 200,
    maxBackoffDuration: 1
  })
  const stop = () => {
    reader.close()
    // Answers are on their way; a moment for the sockets to take them.
    setTimeout(() => process.exit(0), 300)
  }
  reader.on('error', (err) => console.error(err.message))
  reader.on('message', (message) => {
    process.stdout.write(Buffer.concat([message.body, Buffer.from('\n')]))
    message.finish()
    if (++seen === count) stop()
  })
  process.on('SIGTERM', stop)
  reader.connect()
}

const text = { type: 'string' }
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { topic: text, channel: text, nsqd: text, lookupd: text, batch: text, count: text }
})
const options = { ...values, batch: Number(values.batch || 200), count: Number(values.count || 0) }
if (positionals[0] === 'publish') {
  publish(options).then(() => process.exit(0), (err) => { console.error(err.message); process.exit(1) })
} else if (positionals[0] === 'consume') {
  consume(options)
} else {
  console.error('publish or consume')
  process.exit(2)
}
