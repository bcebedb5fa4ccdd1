// Runs the test bench until its sinks are done and 100 cycles more; 2 is returned where they are not in time.
#include <memory>

#include "Vbench.h"
#include "verilated.h"

int main(int argc, char** argv) {
    const auto context = std::make_unique<VerilatedContext>();
    context->commandArgs(argc, argv);
    const auto bench = std::make_unique<Vbench>(context.get());
    int more = 100;
    for (long cycle = 0; cycle < 1000000 && more > 0; cycle++) {
        bench->rst_n = cycle >= 5;
        bench->clk = 0;
        bench->eval();
        bench->clk = 1;
        bench->eval();
        if (bench->rst_n && bench->done) more--;
    }
    bench->final();
    return more > 0 ? 2 : 0;
}
