// Compiles the shaders of a folder with Tint, the compiler of Chromium, and makes their pipelines.
//
//     node tint.mjs FOLDER [vulkan]
//
// Dawn's null backend stands in for an adapter: it compiles and validates and runs nothing. With
// `vulkan` the pipelines are made by a driver, and their times are those of the driver's compiler.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { create, globals } from 'webgpu';

Object.assign(globalThis, globals);
const [folder, backend = 'null'] = process.argv.slice(2);

// Without something that waits node ends between two promises; without a name the GPU is collected.
const alive = setInterval(() => {}, 1000);
const gpu = create([`backend=${backend}`]);
const adapter = await gpu.requestAdapter();
if (!adapter) {
    console.error(`tint: no adapter of the ${backend} backend`);
    process.exit(2);
}
const requiredFeatures = ['shader-f16', 'subgroups'].filter((f) => adapter.features.has(f));
const device = await adapter.requestDevice({ requiredFeatures });

// What is wrong with a shader, or nothing.
async function fault(code, entryPoint, constants) {
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ code });
    const { messages } = await module.getCompilationInfo();
    const errors = messages.filter((m) => m.type === 'error');
    const place = (m) => `line ${m.lineNum}: ${m.message}: ${code.split('\n')[m.lineNum - 1]?.trim()}`;
    let refused = errors.map(place).join('\n    ');
    if (!refused) {
        const compute = { module, entryPoint, constants };
        await device.createComputePipelineAsync({ layout: 'auto', compute })
            .catch((e) => { refused = e.message; });
    }
    const validation = await device.popErrorScope();
    return refused || validation?.message;
}

const lines = readFileSync(join(folder, 'list'), 'utf8').trim().split('\n');
const slow = [];
let refused = 0;
for (const [file, entry, ...given] of lines.map((line) => line.split(' '))) {
    const constants = Object.fromEntries(given.map((word) => word.split('=')).map(([n, v]) => [n, Number(v)]));
    const start = performance.now();
    const wrong = await fault(readFileSync(join(folder, file), 'utf8'), entry, constants);
    slow.push([Math.round(performance.now() - start), file]);
    if (wrong) {
        refused += 1;
        console.log(`tint: ${[file, ...given].join(' ')} is refused:\n    ${wrong}`);
    }
}
slow.sort((a, b) => b[0] - a[0]);
console.log('tint: slowest, in ms:', slow.slice(0, 5).map(([ms, file]) => `${file} ${ms}`).join(', '));
console.log(`tint: ${lines.length - refused} pipelines compile, ${refused} are refused`);
clearInterval(alive);
process.exit(refused ? 1 : 0);
