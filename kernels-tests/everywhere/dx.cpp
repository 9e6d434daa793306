// Compiles the shaders of a folder with one of Windows' compilers, with the flags that wgpu gives.
//
//     dx.exe fxc|dxc FOLDER
//
// Built by MinGW and run by Wine, beside d3dcompiler_47.dll and dxcompiler.dll. MinGW has no header of
// DXC: the two interfaces that are called are declared here, by the order of their functions.
#include <d3dcompiler.h>
#include <windows.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace {

struct DxcBuffer {
    const void *text;
    SIZE_T size;
    UINT encoding;
};

struct DxcOperationResult : IUnknown {
    virtual HRESULT STDMETHODCALLTYPE GetStatus(HRESULT *status) = 0;
    virtual HRESULT STDMETHODCALLTYPE GetResult(ID3DBlob **result) = 0;
    virtual HRESULT STDMETHODCALLTYPE GetErrorBuffer(ID3DBlob **errors) = 0;
};

struct DxcCompiler3 : IUnknown {
    virtual HRESULT STDMETHODCALLTYPE Compile(const DxcBuffer *source, LPCWSTR *arguments, UINT32 count,
                                              IUnknown *includes, REFIID wanted, void **result) = 0;
};

const GUID CLASS_COMPILER = {0x73e22d93, 0xe6ce, 0x47f3, {0xb5, 0xbf, 0xf0, 0x66, 0x4f, 0x39, 0xc1, 0xb0}};
const GUID ID_COMPILER3 = {0x228b4687, 0x5a6a, 0x4730, {0x90, 0x0c, 0x97, 0x02, 0xb2, 0x20, 0x3f, 0x54}};
const GUID ID_OPERATION_RESULT = {0xcedb484a, 0xd4e9, 0x445a, {0xb9, 0x91, 0xca, 0x21, 0xca, 0x15, 0x7d, 0xc2}};
const UINT UTF8 = 65001;

struct Release {
    void operator()(IUnknown *held) const { held->Release(); }
};
template <class T> using Held = std::unique_ptr<T, Release>;

// What one compiler says of a text: nothing if it compiles.
struct Compiler {
    virtual ~Compiler() = default;
    virtual std::string fault(const std::string &text, const std::string &entry) = 0;
};

std::string words(HRESULT status, ID3DBlob *errors) {
    if (SUCCEEDED(status)) {
        return "";
    }
    // Many warnings stand among the errors.
    std::istringstream all(errors ? static_cast<const char *>(errors->GetBufferPointer()) : "");
    std::string kept;
    for (std::string line; std::getline(all, line);) {
        if (line.find("error") != std::string::npos) {
            kept += (kept.empty() ? "" : "\n    ") + line;
        }
    }
    if (!kept.empty()) {
        return kept;
    }
    char code[32];
    std::snprintf(code, sizeof code, "code %08lx", static_cast<unsigned long>(status));
    return code;
}

struct Fxc : Compiler {
    pD3DCompile compile;

    explicit Fxc(HMODULE library)
        : compile(reinterpret_cast<pD3DCompile>(reinterpret_cast<void *>(GetProcAddress(library, "D3DCompile")))) {}

    std::string fault(const std::string &text, const std::string &entry) override {
        ID3DBlob *code = nullptr, *errors = nullptr;
        const HRESULT status = compile(text.data(), text.size(), nullptr, nullptr, nullptr, entry.c_str(),
                                       "cs_5_1", D3DCOMPILE_ENABLE_STRICTNESS, 0, &code, &errors);
        Held<ID3DBlob> keep(code), keep_errors(errors);
        return words(status, errors);
    }
};

struct Dxc : Compiler {
    Held<DxcCompiler3> compiler;

    explicit Dxc(HMODULE library) {
        using Create = HRESULT(WINAPI *)(REFIID, REFIID, void **);
        const auto create = reinterpret_cast<Create>(reinterpret_cast<void *>(GetProcAddress(library, "DxcCreateInstance")));
        DxcCompiler3 *made = nullptr;
        if (create && SUCCEEDED(create(CLASS_COMPILER, ID_COMPILER3, reinterpret_cast<void **>(&made)))) {
            compiler.reset(made);
        }
    }

    std::string fault(const std::string &text, const std::string &entry) override {
        if (!compiler) {
            return "DXC cannot be started";
        }
        // Entry points are ASCII.
        const std::wstring wide(entry.begin(), entry.end());
        // Without a validator beside it DXC would warn about the missing signature.
        LPCWSTR arguments[] = {L"-E",  wide.c_str(),     L"-T",  L"cs_6_6", L"-HV",
                               L"2018", L"-no-warnings", L"-Ges", L"-Vd",   L"-enable-16bit-types"};
        const DxcBuffer source = {text.data(), text.size(), UTF8};
        DxcOperationResult *raw = nullptr;
        HRESULT status = compiler->Compile(&source, arguments, std::size(arguments), nullptr,
                                           ID_OPERATION_RESULT, reinterpret_cast<void **>(&raw));
        Held<DxcOperationResult> result(raw);
        ID3DBlob *errors = nullptr;
        if (SUCCEEDED(status) && result) {
            result->GetStatus(&status);
            result->GetErrorBuffer(&errors);
        }
        Held<ID3DBlob> keep(errors);
        return words(status, errors);
    }
};

std::unique_ptr<Compiler> compiler_of(const std::string &name) {
    const HMODULE library = LoadLibraryA(name == "fxc" ? "d3dcompiler_47.dll" : "dxcompiler.dll");
    if (!library) {
        return nullptr;
    }
    if (name == "fxc") {
        return std::make_unique<Fxc>(library);
    }
    return std::make_unique<Dxc>(library);
}

std::string contents(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

} // namespace

int main(int count, char **arguments) {
    if (count != 3) {
        std::puts("usage: dx fxc|dxc FOLDER");
        return 2;
    }
    const std::string name = arguments[1], folder = arguments[2];
    const auto compiler = compiler_of(name);
    if (!compiler) {
        std::printf("%s: no library\n", name.c_str());
        return 2;
    }
    std::ifstream list(folder + "/list");
    std::vector<std::pair<DWORD, std::string>> slow;
    int refused = 0;
    for (std::string file, entry; list >> file >> entry;) {
        const DWORD start = GetTickCount();
        const std::string wrong = compiler->fault(contents(folder + "/" + file), entry);
        slow.emplace_back(GetTickCount() - start, file);
        if (!wrong.empty()) {
            refused++;
            std::printf("%s: %s is refused:\n    %.1000s\n", name.c_str(), file.c_str(), wrong.c_str());
        }
        std::fflush(stdout);
    }
    std::sort(slow.rbegin(), slow.rend());
    std::printf("%s: slowest, in ms:", name.c_str());
    for (size_t i = 0; i < std::min<size_t>(slow.size(), 5); i++) {
        std::printf("%s %s %lu", i ? "," : "", slow[i].second.c_str(), slow[i].first);
    }
    std::printf("\n%s: %d pipelines compile, %d are refused\n", name.c_str(), int(slow.size()) - refused, refused);
    return refused || slow.empty() ? 1 : 0;
}
