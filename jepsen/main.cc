#include "jepsen/sim_command.h"

int main(int argc, char** argv) { return lignum::jepsen::run_jepsen(argc, argv); }
