"""A tree that looks like an installation of Vivado: scripts that answer, log how they were called and write
the files that FINN expects of high-level synthesis, of a stitched design, its place and route and a bitfile.

Of the Tcl that they are given they read names and folders, and which variables of the environment and which
headers it needs: where one is missing, they fail as the real tools do.
"""

from __future__ import annotations

from pathlib import Path

#: What the real releases call themselves.
BUILDS = {"2022.2": "3671981", "2023.2": "4029153", "2024.2": "5239630"}

_HEAD = """\
#!/bin/bash
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
{ echo "NAME $*" >> "$here/../calls.log"; } 2> /dev/null
if [ "$1" = -version ]; then
    cat "$here/NAME.version"
    exit 0
fi
"""

# Tcl stops at a variable that is not set: so do these scripts.
_TCL = """\
while [ $# -gt 1 ]; do shift; done
tcl=$1
for name in $(grep -o '::env([A-Za-z_0-9]*)' "$tcl" | sort -u | sed 's/.*(//; s/)//'); do
    if [ -z "${!name+set}" ]; then
        echo "ERROR: can't read \\"::env($name)\\": no such variable" >&2
        exit 1
    fi
done
given() { sed -n "s/^set $1 \\"\\{0,1\\}\\([^\\"]*\\)\\"\\{0,1\\}$/\\1/p" "$tcl" | head -n 1; }
"""

_HLS = """\
project=$(given config_proj_name) top=$(given config_toplevelfxn)
source=$(given config_hwsrcdir)/top_$top.cpp
if grep -q bnn-library.h "$source" && [ ! -e "$(given config_bnnlibdir)/bnn-library.h" ]; then
    echo "ERROR: [HLS 207-3776] 'bnn-library.h' file not found ($source)" | tee vitis_hls.log >&2
    exit 1
fi
mkdir -p "$project"/sol1/{impl/ip/hdl/verilog,impl/verilog,syn/report}
echo "module $top (input ap_clk, input ap_rst_n); initial \\$readmemh(\\"./$top.dat\\", rom); endmodule" \\
    > "$project/sol1/impl/verilog/$top.v"
echo 0 > "$project/sol1/impl/verilog/$top.dat"
cp "$project/sol1/impl/verilog/$top.v" "$project/sol1/impl/ip/hdl/verilog/"
echo "<component><name>$top</name><part>$(given config_proj_part)</part></component>" \\
    > "$project/sol1/impl/ip/component.xml"
cat > "$project/sol1/syn/report/${top}_csynth.xml" <<END
<profile><AreaEstimates><Resources>
<BRAM_18K>1</BRAM_18K><DSP>0</DSP><FF>100</FF><LUT>200</LUT><URAM>0</URAM>
</Resources></AreaEstimates></profile>
END
echo "INFO: [HLS 200-111] Finished $top" > vitis_hls.log
"""

_VIVADO = """\
created=$(sed -n 's/^create_project //p' "$tcl")
boards=$(sed -n 's/^lappend paths_prop "\\(.*\\)"$/\\1/p' "$tcl")
if [ -n "$boards" ]; then
    board=$(sed -n 's/^set BOARD //p' "$tcl")
    if [ ! -d "$boards" ]; then
        echo "ERROR: [Board 49-71] The board_part definition was not found for $board in $boards" >&2
        exit 1
    fi
    bd=finn_zynq_link.srcs/sources_1/bd/top/hw_handoff run=finn_zynq_link.runs/impl_1
    mkdir -p "$bd" "$run"
    echo "bits for $board" > "$run/top_wrapper.bit"
    echo "WNS(ns)  TNS(ns)" > "$run/top_wrapper_timing_summary_routed.rpt"
    echo "<EDKSYSTEM/>" > "$bd/top.hwh"
    echo "<RptDoc/>" > synth_report.xml
elif [ -n "$created" ]; then
    set -- $created
    name=$1 folder=$2
    design=$(sed -n 's/^create_bd_design "\\(.*\\)"$/\\1/p' "$tcl")
    hdl=$folder/$name.srcs/sources_1/bd/$design/hdl
    mkdir -p "$hdl" "$folder/ip"
    echo "<Project part=\\"$4\\"/>" > "$folder/$name.xpr"
    echo "module ${design}_wrapper (input ap_clk, input ap_rst_n); endmodule" > "$hdl/${design}_wrapper.v"
    echo "$hdl/${design}_wrapper.v" > "$folder/all_verilog_srcs.txt"
    echo "<component><name>$design</name></component>" > "$folder/ip/component.xml"
else
    opened=$(sed -n 's/^open_project //p' "$tcl")
    [ -e "$opened" ] || { echo "ERROR: [Coretcl 2-27] no project $opened" >&2; exit 1; }
    folder=$(dirname "$opened")
    printf '| CLB LUTs | 1200 |\\n| CLB Registers | 900 |\\n| DSPs | 3 |\\n| Block RAM Tile | 2.5 |\\n' \\
        > "$folder/ooc_utilization.rpt"
    printf 'WNS(ns)  TNS(ns)\\n  1.250  0.000\\n' > "$folder/ooc_timing.rpt"
    echo '| Total On-Chip Power (W) | 0.412 |' > "$folder/ooc_power.rpt"
    sed -n 's/^puts $fp "clk_period_ns=\\(.*\\)"$/clk_period_ns=\\1/p' "$tcl" > "$folder/ooc_metadata.txt"
fi
echo "# vivado" > vivado.log
"""

_REFUSES = """\
echo "NAME: not in this tree" >&2
exit 1
"""


def make(root: Path, version: str = "2022.2", says: str | None = None, hls: bool = True) -> Path:
    """Make a tree below `root`, and give its folder `Vivado/<version>`.

    Args:
        root: the folder of all the tools, as `/opt/Xilinx`.
        version: the release in the names of the folders.
        says: the release that its tools say they are, where that is another.
        hls: whether Vitis HLS is there too.
    """
    says = says or version
    build = BUILDS.get(says, "1234567")
    vivado, vitis = root / "Vivado" / version, root / "Vitis_HLS" / version
    banner = "Vivado" if says < "2023" else "vivado"
    _tool(
        vivado,
        "vivado",
        _TCL + _VIVADO,
        f"{banner} v{says} (64-bit)\nSW Build {build} on Fri Oct 14 04:59:54 MDT 2022\n"
        "IP Build 3669848 on Fri Oct 14 08:30:02 MDT 2022\nTool Version Limit: 2022.10\n",
    )
    for name in ("xelab", "xvlog"):
        _tool(vivado, name, _REFUSES, f"Vivado Simulator v{says}\n")
    others = [f"source {root}/DocNav/.settings64-DocNav.sh"]  # named there whether it is installed or not
    if hls:
        _tool(
            vitis,
            "vitis_hls",
            _TCL + _HLS,
            f"\n****** Vitis HLS - High-Level Synthesis from C, C++ and OpenCL v{says} (64-bit)\n"
            f"  **** SW Build {int(build) - 2} on Oct 13 2022\n  **** IP Build 3669848 on Oct 14 2022\n",
        )
        _settings(vitis, "Vitis_HLS", "XILINX_HLS", [])
        others.append(f"source {vitis}/.settings64-Vitis_HLS.sh")
    _settings(vivado, "Vivado", "XILINX_VIVADO", others)
    return vivado


def calls(vivado: Path) -> list[str]:
    """How the tools of a tree were called, e.g. `vivado -version`: in order for each of its folders."""
    logs = sorted(vivado.parent.parent.glob("*/*/calls.log"))
    return [line for log in logs for line in log.read_text().splitlines()]


def make_dependencies(deps: Path) -> Path:
    """Make of `FINN_DEPS` what the scripts ask for: a header of FINN's HLS library, the boards' folder."""
    (deps / "board_files").mkdir(parents=True)
    (deps / "finn-hlslib").mkdir()
    (deps / "finn-hlslib" / "bnn-library.h").write_text("#pragma once\n")
    return deps


def write_script(path: Path, text: str) -> None:
    """Write a file that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def _tool(folder: Path, name: str, script: str, version: str) -> None:
    write_script(folder / "bin" / name, (_HEAD + script).replace("NAME", name))
    (folder / "bin" / f"{name}.version").write_text(version)


def _settings(folder: Path, product: str, variable: str, others: list[str]) -> None:
    own = folder / f".settings64-{product}.sh"
    own.write_text(
        f'if [ -n "${{PATH}}" ]; then\n  export PATH={folder}/bin:$PATH\n'
        f"else\n  export PATH={folder}/bin\nfi\nexport {variable}={folder}\n"
    )
    (folder / "settings64.sh").write_text("\n".join([*others, f"source {own}", ""]))
